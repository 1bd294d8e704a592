package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// StageFlags are the options of every stage of the pipe that reads a document.
type StageFlags struct {
	Spec   string `help:"Read the document from this file, not from standard input" placeholder:"FILE"`
	Bundle string `help:"Read the document from config.json in this directory" placeholder:"DIR"`
}

// Read reads the document that the stage was handed.
func (f StageFlags) Read(in io.Reader) (*spec.Spec, error) {
	path := f.Spec
	switch {
	case f.Spec != "" && f.Bundle != "":
		return nil, Usagef("--spec and --bundle exclude each other")
	case f.Bundle != "":
		path = filepath.Join(f.Bundle, "config.json")
	case f.Spec == "" || f.Spec == "-":
		if isTerminal(in) {
			return nil, Usagef("standard input is a terminal: hand over a document by a pipe, --spec FILE or --bundle DIR")
		}
		return spec.Read(in)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	defer file.Close()
	return spec.Read(file)
}

// Pass is the middle of every stage: it reads the document, runs the stage and prints the document.
// Where anything fails, the document's hooks undo what the stages before, and this one, have done.
func (f StageFlags) Pass(ctx context.Context, io *IO, stage spec.Stage) error {
	s, err := f.Read(io.In)
	if err != nil {
		return err
	}
	return Emit(ctx, io, s, stage)
}

// Emit runs the stage on a document and hands it on, or undoes all that the document stands for.
func Emit(ctx context.Context, io *IO, s *spec.Spec, stage spec.Stage) error {
	dir, err := hold(s)
	if err == nil {
		defer dir.LetGo(s.ID())
		err = stage(ctx, s)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = handOver(ctx, io.Out, s)
	}
	if err != nil {
		err = errors.Join(err, s.Undo(context.WithoutCancel(ctx)))
	}
	return err
}

// hold notes that the container is in our hands, so that it is found if we are killed.
func hold(s *spec.Spec) (dir state.Dir, err error) {
	if dir, err = state.FromEnv(); err != nil {
		return dir, err
	}
	id, err := state.EnsureID(s)
	if err != nil {
		return dir, err
	}
	return dir, dir.Hold(id)
}

// handOver prints the document and waits until it is read: a next stage that dies before that has
// nothing to undo by, so it is for us to do.
func handOver(ctx context.Context, w io.Writer, s *spec.Spec) error {
	if err := s.Write(w); err != nil {
		return err
	}
	if f, ok := w.(*os.File); ok {
		if err := linux.AwaitReader(ctx, f); err != nil {
			return fmt.Errorf("hand on the document: the next stage did not read it: %w", err)
		}
	}
	return nil
}

// undoInput undoes the document of a stage that cannot start, such as for wrong usage.
func undoInput(ctx context.Context, io *IO) {
	if isTerminal(io.In) {
		return
	}
	if s, err := spec.Read(io.In); err == nil {
		_ = s.Undo(context.WithoutCancel(ctx)) // the usage error is what the user must see
	}
}

// isTerminal reports whether the stream is a terminal, where a document would be waited for for ever.
func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && linux.IsTerminal(int(f.Fd()))
}
