package cli

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
	"strings"
	"syscall"

	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// StageFlags are the options of every stage of the pipe that reads a document.
type StageFlags struct {
	Spec   string `help:"Read the document from this file, not from standard input" placeholder:"FILE"`
	Bundle string `short:"b" help:"Read the document from config.json in this directory" placeholder:"DIR"`
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
		if IsTerminal(in) {
			return nil, Usagef("standard input is a terminal: hand over a document by a pipe, --spec FILE or --bundle DIR")
		}
		return receive(in)
	}
	file, err := linux.OpenInput(path)
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	defer file.Close()
	s, err := spec.Read(file)
	if err == nil && f.Bundle != "" {
		err = startAt(s, f.Bundle)
	}
	return s, err
}

// startAt makes the relative paths of a bundle's document absolute (runtime-spec, bundle.md): they start there.
func startAt(s *spec.Spec, bundle string) error {
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

// receive reads a document from a pipe. As soon as it names its container, that is noted to be in our hands:
// the stage before waits for this, so that it is always in somebody's.
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
		return nil, err // the mark stays: what was read of it is lost, so the stage before undoes it
	}
	if err == nil {
		if dir, err := state.FromEnv(); err == nil && state.IsID(names.Annotations[spec.AnnotationID]) {
			_ = dir.Acquire(names.Annotations[spec.AnnotationID]) // whoever goes on with it will hear of it
		}
	}
	unmark()
	return spec.Read(io.MultiReader(&data, untilInterrupted{in}))
}

// untilInterrupted ends a document that is whole already when this process is told to end: it is there to be undone.
type untilInterrupted struct{ in io.Reader }

func (u untilInterrupted) Read(p []byte) (int, error) {
	n, err := u.in.Read(p)
	if errors.Is(err, context.Canceled) {
		err = io.EOF
	}
	return n, err
}

// RunStage is the middle of every stage: it reads the document, runs the stage and prints the document.
// Where anything fails, the document's hooks undo what the stages before, and this one, have done.
func (f StageFlags) RunStage(ctx context.Context, std *IO, stage spec.Stage) error {
	s, err := f.Read(std.In)
	if err != nil {
		return err
	}
	return Emit(ctx, std, s, stage)
}

// Emit runs the stage on a document and hands it on, or undoes all that the document stands for.
func Emit(ctx context.Context, std *IO, s *spec.Spec, stage spec.Stage) error {
	err := hold(s)
	if err == nil {
		err = stage(ctx, s)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = handOver(ctx, std.Out, s)
	}
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted") // whatever came of that
	}
	if err != nil {
		return errors.Join(err, undo(ctx, s))
	}
	letGo(s)
	return nil
}

// undo releases what the document stands for. Where that fails, the next command finds it.
func undo(ctx context.Context, s *spec.Spec) error {
	err := s.Undo(interrupt.Undoing(ctx))
	if err == nil {
		letGo(s)
	}
	return err
}

// hold notes that the container is in our hands, so that it is found if we are killed.
func hold(s *spec.Spec) error {
	dir, err := state.FromEnv()
	if err != nil {
		return err
	}
	id, err := state.EnsureID(s)
	if err != nil {
		return err
	}
	return dir.Acquire(id)
}

func letGo(s *spec.Spec) {
	if dir, err := state.FromEnv(); err == nil {
		dir.Release(s.ID())
	}
}

// handOver prints the document and waits until it is read: a next stage that dies before that has
// nothing to undo by, so it is for us to do.
func handOver(ctx context.Context, w io.Writer, s *spec.Spec) error {
	err := s.Write(Screen(w))
	if f, ok := w.(*os.File); ok && err == nil {
		err = linux.AwaitReader(ctx, f)
	}
	if errors.Is(err, syscall.EPIPE) { // not a reader that has seen enough, as report would take it
		return fmt.Errorf("pass on the document: the next stage did not take it: %w", syscall.EPIPE)
	}
	return err
}

// documentOnInput reports whether the words of a command leave standard input to the document.
func documentOnInput(args []string) bool {
	return !slices.ContainsFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(arg, "=")
		return slices.Contains([]string{"--spec", "--bundle", "--pid", "--netns"}, name)
	})
}

// Alone is a stage's command that can also be called without a document: Alone says whether it is.
type Alone interface{ Alone() bool }

func isAlone(r Runner) bool {
	a, ok := r.(Alone)
	return ok && a.Alone()
}

// undoInput undoes the document of a stage that cannot start, such as for wrong usage. One that was read
// is no more on standard input: the stage has undone it.
func undoInput(ctx context.Context, std *IO) {
	if IsTerminal(std.In) {
		return
	}
	if s, err := receive(std.In); err == nil {
		_ = undo(ctx, s) // the usage error is what the user must see
	}
}

// IsTerminal reports whether a stream is a terminal: a document would be waited for there for ever, and an
// archive is nothing to read.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && linux.IsTerminal(int(f.Fd()))
}
