package spec

import (
	"bytes"
	"context"
	_ "embed" // Contract
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/weikeit/mydocker/lib/interrupt"
)

// Contract is the file that holds the package comment, of which md-pipeline(7) is made.
//
//go:embed doc.go
var Contract string

// Spec is an OCI runtime document, the only model of a container. What one tool needs to tell another is in it.
type Spec struct {
	specs.Spec

	source []byte // the input, with the fields that specs.Spec lacks
}

// Stage makes one part of a container and fills in the fields that it owns. A stage that returns an error has undone
// its work.
type Stage func(context.Context, *Spec) error

// Compose returns a stage that runs the given ones in order. If one fails, it calls undo with the document so far.
func Compose(undo func(context.Context, *Spec), stages ...Stage) Stage {
	return func(ctx context.Context, s *Spec) error {
		for _, stage := range stages {
			err := ctx.Err()
			if err == nil {
				err = stage(ctx, s)
			}
			if err != nil {
				undo(interrupt.Undoing(ctx), s)
				return err
			}
		}
		return nil
	}
}

// ErrEmpty means that standard input was empty: the stage before has failed and reported why.
var ErrEmpty = errors.New("no document on standard input: the stage before failed or is missing")

// MaxSize is the limit of a document in bytes. Engines write about 10,000.
const MaxSize = 16 << 20

// Read reads one document. It refuses a second one, and a major ociVersion other than 1 (runtime-spec, config.md
// "Specification version").
func Read(r io.Reader) (*Spec, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("read the document: longer than %d MiB", MaxSize>>20)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, ErrEmpty
	}
	s := &Spec{source: data}
	if err := json.Unmarshal(data, &s.Spec); err != nil {
		return nil, fmt.Errorf("read the document: not an OCI config.json: %w", jsonError(err))
	}
	if err := s.checkVersion(); err != nil {
		return nil, err
	}
	return s, nil
}

// checkVersion refuses other major versions.
func (s *Spec) checkVersion() error {
	if major, _, ok := strings.Cut(s.Version, "."); !ok || major != "1" {
		return fmt.Errorf("read the document: ociVersion %.40q: only 1.x is understood", s.Version)
	}
	return nil
}

// jsonError names the JSON member that has the wrong type, not our Go type.
func jsonError(err error) error {
	var e *json.UnmarshalTypeError
	if !errors.As(err, &e) {
		return err
	}
	if e.Field == "" {
		return fmt.Errorf("got a JSON %s", e.Value)
	}
	return fmt.Errorf("%s is a JSON %s", e.Field, e.Value)
}

// Encode returns the document as JSON, with the unknown fields of the input.
func (s *Spec) Encode() ([]byte, error) {
	data, err := json.Marshal(&s.Spec)
	if err != nil {
		return nil, fmt.Errorf("encode the document: %w", err)
	}
	if s.source != nil {
		if data, err = keepUnknown(s.source, data); err != nil {
			return nil, fmt.Errorf("encode the document: %w", err)
		}
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		return nil, fmt.Errorf("encode the document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// Write writes the document by one call of w.Write.
func (s *Spec) Write(w io.Writer) error {
	data, err := s.Encode()
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("pass on the document: %w", err)
	}
	return nil
}

// LinuxPart returns the linux section of the document, which it makes if it is missing.
func (s *Spec) LinuxPart() *specs.Linux {
	if s.Linux == nil {
		s.Linux = &specs.Linux{}
	}
	return s.Linux
}

// ProcessPart returns the process section of the document, which it makes if it is missing.
func (s *Spec) ProcessPart() *specs.Process {
	if s.Process == nil {
		s.Process = &specs.Process{}
	}
	return s.Process
}

// SetNamespace sets the path of a namespace in linux.namespaces ("" for a new one), and adds the entry if it is
// missing.
func (s *Spec) SetNamespace(kind specs.LinuxNamespaceType, path string) {
	l := s.LinuxPart()
	for i := range l.Namespaces {
		if l.Namespaces[i].Type == kind {
			l.Namespaces[i].Path = path
			return
		}
	}
	l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: kind, Path: path})
}

// RemoveNamespace removes a namespace: the container shares that of the runtime.
func (s *Spec) RemoveNamespace(kind specs.LinuxNamespaceType) {
	l := s.LinuxPart()
	kept := l.Namespaces[:0]
	for _, ns := range l.Namespaces {
		if ns.Type != kind {
			kept = append(kept, ns)
		}
	}
	l.Namespaces = kept
}

// Namespace returns the entry of a namespace in linux.namespaces, and whether there is one.
func (s *Spec) Namespace(kind specs.LinuxNamespaceType) (specs.LinuxNamespace, bool) {
	if s.Linux != nil {
		for _, ns := range s.Linux.Namespaces {
			if ns.Type == kind {
				return ns, true
			}
		}
	}
	return specs.LinuxNamespace{}, false
}
