package linux

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReadInput: files that block or do not end are refused at once; a shell's pipe is read.
func TestReadInput(t *testing.T) {
	dir := t.TempDir()
	fifo, file := filepath.Join(dir, "fifo"), filepath.Join(dir, "file")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("12345678"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo: "FIFO", "/dev/zero": "device", dir: "is a directory", filepath.Join(dir, "gone"): "no such file", file: "longer than 7 bytes",
	} {
		if data, err := ReadInput(path, 7); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %q, %v, want %s", path, data, err, want)
		}
	}
	if data, err := ReadInput(file, 8); err != nil || string(data) != "12345678" {
		t.Errorf("%q, %v", data, err)
	}
	if data, err := ReadInput(os.DevNull, 8); err != nil || len(data) != 0 {
		t.Errorf("%q, %v", data, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		_, _ = w.WriteString("piped")
		w.Close()
	}()
	if data, err := ReadInput(FDPath(r), 8); err != nil || string(data) != "piped" {
		t.Errorf("%q, %v", data, err)
	}
}
