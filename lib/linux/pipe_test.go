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

// TestAwaitReader: what the reader of a pipe does, step by step, and whether the writer may go before it and
// after it.
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
		steps []func(*reader) // the writer must wait for the last one
		err   error
	}{
		{"a foreign one reads", []func(*reader){read}, nil},
		{"a foreign one leaves", []func(*reader){leave}, syscall.EPIPE},
		{"ours reads, and notes it", []func(*reader){mark, read, unmark}, nil},
		{"ours notes it, and leaves", []func(*reader){mark, read, func(r *reader) { r.unmark(); r.file.Close() }}, nil},
		{"ours dies before it reads", []func(*reader){mark, leave}, syscall.EPIPE},
		{"ours dies before it notes it", []func(*reader){mark, read, leave}, syscall.EPIPE},
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
					t.Fatalf("it did not wait: %v", err)
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

// TestMarkReadingOfFiles: what others can see is not touched, and files are read when they are written.
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
		t.Errorf("a named pipe: %v, %v", info.Mode(), err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	MarkReading(file)()
	if err := AwaitReader(context.Background(), file); err != nil {
		t.Errorf("a file: %v", err)
	}
}
