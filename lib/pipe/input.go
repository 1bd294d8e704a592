package pipe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// Input are the options of a stage that say where its document is.
type Input struct {
	Spec   string `help:"Read the document from this file, not from standard input" placeholder:"FILE"`
	Bundle string `short:"b" help:"Read the document from config.json in this directory" placeholder:"DIR"`
}

// ReadsInput implements [Reader].
func (i Input) ReadsInput() bool { return i.Bundle == "" && (i.Spec == "" || i.Spec == "-") }

// Read reads the document.
func (i Input) Read(in io.Reader) (*spec.Spec, error) {
	if i.Spec != "" && i.Bundle != "" {
		return nil, cli.Usagef("--spec and --bundle exclude each other")
	}
	if i.ReadsInput() {
		if cli.IsTerminal(in) {
			return nil, cli.Usagef("standard input is a terminal: pass the document through a pipe, --spec FILE or --bundle DIR")
		}
		return receive(in)
	}
	if i.Bundle == "" {
		return readFile(i.Spec)
	}
	s, err := readFile(filepath.Join(i.Bundle, "config.json"))
	if err != nil {
		return nil, err
	}
	return s, makeAbsolute(s, i.Bundle)
}

func readFile(path string) (*spec.Spec, error) {
	file, err := linux.OpenInput(path)
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	defer file.Close()
	return spec.Read(file)
}

// makeAbsolute makes the paths of the document absolute that are relative to its bundle (runtime-spec, bundle.md).
func makeAbsolute(s *spec.Spec, bundle string) error {
	bundle, err := filepath.Abs(bundle)
	if err != nil {
		return err
	}
	absolute := func(path *string) {
		if !filepath.IsAbs(*path) {
			*path = filepath.Join(bundle, *path)
		}
	}
	if s.Root != nil && s.Root.Path != "" {
		absolute(&s.Root.Path)
	}
	for i, m := range s.Mounts {
		if m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind") {
			absolute(&s.Mounts[i].Source)
		}
	}
	return nil
}

// receive reads a document from a pipe. It acquires the container as soon as the document has named it: the stage
// before waits for that, so the container has an owner at every moment.
func receive(in io.Reader) (*spec.Spec, error) {
	unmark := func() {}
	if pipe, ok := in.(*os.File); ok {
		unmark = linux.MarkReading(pipe)
	}
	in = interrupt.LingeringReader(in)
	var data bytes.Buffer
	var names struct{ Annotations map[string]string }
	err := json.NewDecoder(io.TeeReader(io.LimitReader(in, spec.MaxSize), &data)).Decode(&names)
	if errors.Is(err, context.Canceled) {
		return nil, err // part of the document is lost: the mark stays, so the stage before undoes it
	}
	if err == nil {
		if dir, err := state.FromEnv(); err == nil && state.IsID(names.Annotations[spec.AnnotationID]) {
			_ = dir.Acquire(names.Annotations[spec.AnnotationID]) // Emit acquires again and returns the error
		}
	}
	unmark()
	return spec.Read(io.MultiReader(&data, untilInterrupted{in}))
}

// untilInterrupted turns an interrupt behind a whole document into its end: the document must be undone.
type untilInterrupted struct{ in io.Reader }

func (u untilInterrupted) Read(p []byte) (int, error) {
	n, err := u.in.Read(p)
	if errors.Is(err, context.Canceled) {
		err = io.EOF
	}
	return n, err
}
