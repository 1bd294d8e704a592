// Package pipe is the protocol of a stage, once for all tools: read the document, acquire its container, run the
// stage's function, emit the document, or undo it. The contract is in the package comment of lib/spec. A stage's main
// declares
//
//	{Name: "attach", Stage: pipe.Undo, New: cli.New[attach]}
//
// where attach embeds [Input], and its Run hands a [spec.Stage] to [Input.RunStage].
package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// RunStage reads the document, runs the stage and emits the document. On an error the document's hooks undo what this
// stage and the ones before it did.
func (i Input) RunStage(ctx context.Context, std *cli.IO, stage spec.Stage) error {
	s, err := i.Read(std.In)
	if err != nil {
		return err
	}
	return Emit(ctx, std, s, stage)
}

// Emit acquires the document's container, runs the stage and hands the document to the next stage, which then owns the
// container. On an error it undoes the document.
func Emit(ctx context.Context, std *cli.IO, s *spec.Spec, stage spec.Stage) error {
	err := run(ctx, std.Out, s, stage)
	if err == nil {
		release(s)
		return nil
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted") // the error is only a consequence
	}
	return errors.Join(err, undo(ctx, s))
}

func run(ctx context.Context, out io.Writer, s *spec.Spec, stage spec.Stage) error {
	if err := acquire(s); err != nil {
		return err
	}
	if err := stage(ctx, s); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return handOver(ctx, out, s)
}

// acquire records this process as the owner of the document's container, so that the next sweep finds the container
// if the process is killed.
func acquire(s *spec.Spec) error {
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

func release(s *spec.Spec) {
	if dir, err := state.FromEnv(); err == nil {
		dir.Release(s.ID())
	}
}

// handOver writes the document and waits until it is read. If the next stage dies first, it cannot undo the document,
// so this stage must.
func handOver(ctx context.Context, w io.Writer, s *spec.Spec) error {
	err := s.Write(cli.Screen(w))
	if f, ok := w.(*os.File); ok && err == nil {
		err = linux.AwaitReader(ctx, f)
	}
	if errors.Is(err, syscall.EPIPE) {
		// Without the *fs.PathError, which lib/cli takes for the reader of a list that has seen enough.
		return fmt.Errorf("pass on the document: the next stage did not take it: %w", syscall.EPIPE)
	}
	return err
}

// undo runs the document's releases. If one fails, the container stays acquired and the next sweep finds it.
func undo(ctx context.Context, s *spec.Spec) error {
	if err := s.Undo(interrupt.Undoing(ctx)); err != nil {
		return err
	}
	release(s)
	return nil
}

// Reader is a command that may read a document.
type Reader interface {
	// ReadsInput reports whether the command's options leave standard input to the document.
	ReadsInput() bool
}

// Undo is the Stage of a [cli.Command]: it undoes the document that a failed command left unread on standard input,
// such as after wrong usage. A document that the command did read is undone already and no longer there.
func Undo(ctx context.Context, std *cli.IO, command cli.Runner) {
	if r, ok := command.(Reader); !ok || !r.ReadsInput() || cli.IsTerminal(std.In) {
		return
	}
	if s, err := receive(std.In); err == nil {
		_ = undo(ctx, s) // the user sees the error of the command
	}
}
