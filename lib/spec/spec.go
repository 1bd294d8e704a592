package spec

import (
	"bytes"
	"context"
	_ "embed" // the contract
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

// Spec is an OCI runtime document. It is the one model of a container: what a tool wants to tell the
// next one stands in it, and nothing else does.
type Spec struct {
	specs.Spec

	source []byte // as it was read: holds the fields that specs.Spec does not know
}

// Stage does one thing to the kernel and fills in the fields of the document that it owns. A stage
// that returns an error has undone what it did.
type Stage func(context.Context, *Spec) error

// Compose returns the stage that runs the given ones in order. Where one fails, undo runs for the
// document as far as it came.
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

// ErrEmpty says that there was no document: the stage before failed and has said why.
var ErrEmpty = errors.New("no document on standard input: the stage before failed, or none stands before this one")

// MaxSize bounds a document in bytes. Those of engines have some ten thousand.
const MaxSize = 16 << 20

// Read reads one document. It refuses more than one, and a major version of the specification that
// is not 1 (runtime-spec, config.md "Specification version").
func Read(r io.Reader) (*Spec, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err == nil && len(data) > MaxSize {
		err = fmt.Errorf("longer than %d MiB", MaxSize>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
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

// checkVersion refuses a document of a newer major version.
func (s *Spec) checkVersion() error {
	if major, _, ok := strings.Cut(s.Version, "."); !ok || major != "1" {
		return fmt.Errorf("read the document: ociVersion %.40q: only 1.x is understood", s.Version)
	}
	return nil
}

// jsonError says of JSON that does not fit what it is about, without the names of our types.
func jsonError(err error) error {
	var e *json.UnmarshalTypeError
	if !errors.As(err, &e) {
		return err
	}
	if e.Field == "" {
		return fmt.Errorf("it is one JSON %s", e.Value)
	}
	return fmt.Errorf("%s cannot be a %s", e.Field, e.Value)
}

// Encode returns the document as JSON, the unknown fields of the document that was read included.
func (s *Spec) Encode() ([]byte, error) {
	data, err := json.Marshal(&s.Spec)
	if err != nil {
		return nil, fmt.Errorf("write the document: %w", err)
	}
	if s.source != nil {
		if data, err = keepUnknown(s.source, data); err != nil {
			return nil, fmt.Errorf("write the document: %w", err)
		}
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		return nil, fmt.Errorf("write the document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// Write writes the whole document in one call.
func (s *Spec) Write(w io.Writer) error {
	data, err := s.Encode()
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("hand on the document: %w", err)
	}
	return nil
}

// LinuxPart returns the linux section of the document, made if it is missing.
func (s *Spec) LinuxPart() *specs.Linux {
	if s.Linux == nil {
		s.Linux = &specs.Linux{}
	}
	return s.Linux
}

// ProcessPart returns the process section of the document, made if it is missing.
func (s *Spec) ProcessPart() *specs.Process {
	if s.Process == nil {
		s.Process = &specs.Process{}
	}
	return s.Process
}

// SetNamespace gives the entry of the given type in linux.namespaces the path ("" for a new
// namespace), and adds the entry if it is missing.
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

// RemoveNamespace takes the entry of the given type away: the container shares the runtime's.
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

// Namespace returns the entry of the given type in linux.namespaces, and whether there is one.
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
