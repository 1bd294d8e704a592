package linux

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestAwaitReader performs what a reader does step by step. The writer must wait until the last step.
func TestAwaitReader(t *testing.T) {
	type reader struct {
		file   *os.File
		unmark func()
	}
	read := func(r *reader) { _, _ = io.ReadFull(r.file, make([]byte, 4)) }
	mark := func(r *reader) { r.unmark = MarkReading(r.file) }
	unmark := func(r *reader) { r.unmark() }
	leave := func(r *reader) { r.file.Close() }
	tests := []struct {
		name  string
		steps []func(*reader) // AwaitReader returns after the last one
		err   error
	}{
		{"other program reads", []func(*reader){read}, nil},
		{"other program exits", []func(*reader){leave}, syscall.EPIPE},
		{"stage reads and records", []func(*reader){mark, read, unmark}, nil},
		{"stage records and exits", []func(*reader){mark, read, func(r *reader) { r.unmark(); r.file.Close() }}, nil},
		{"stage dies before reading", []func(*reader){mark, leave}, syscall.EPIPE},
		{"stage dies before recording", []func(*reader){mark, read, leave}, syscall.EPIPE},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			if _, err := w.WriteString("text"); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- AwaitReader(context.Background(), w) }()
			them := &reader{file: r}
			for _, step := range tt.steps {
				time.Sleep(10 * time.Millisecond)
				select {
				case err := <-done:
					t.Fatalf("returned early: %v", err)
				default:
				}
				step(them)
			}
			if err := <-done; !errors.Is(err, tt.err) {
				t.Errorf("got %v, want %v", err, tt.err)
			}
		})
	}
}

func TestAwaitReaderCancelled(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := w.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := AwaitReader(ctx, w); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestMarkReadingOnlyPipes: FIFOs and files are not marked, and AwaitReader does not wait for files.
func TestMarkReadingOnlyPipes(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o640); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	MarkReading(f)
	if info, err := os.Stat(fifo); err != nil || info.Mode() != os.ModeNamedPipe|0o640 {
		t.Errorf("FIFO: %v, %v", info.Mode(), err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	MarkReading(file)()
	if err := AwaitReader(context.Background(), file); err != nil {
		t.Errorf("file: %v", err)
	}
}
