package spawn

import (
	"io"
	"os"
	"strings"
	"testing"
)

// The end of a pipe is typed for a program with a terminal, which would not see it: once at the start of a line, twice
// after an incomplete line.
func TestEndOfInput(t *testing.T) {
	for in, want := range map[string]string{
		"": "\x04", "a\n": "a\n\x04", "a": "a\x04\x04", "a\nb": "a\nb\x04\x04",
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := &Child{console: w, input: w}
		p.feed(strings.NewReader(in))
		w.Close()
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%q: typed %q (%v), want %q", in, got, err, want)
		}
		r.Close()
	}
}

// A program with a pipe gets the input and its end.
func TestEndOfInputOfAPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := &Child{input: w}
	p.feed(strings.NewReader("a"))
	if got, err := io.ReadAll(r); err != nil || string(got) != "a" {
		t.Errorf("got %q (%v), want the same and its end", got, err)
	}
}
