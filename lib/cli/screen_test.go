package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/weikeit/mydocker/lib/linux"
)

// TestScreen: control characters are escaped, printable text is not.
func TestScreen(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n":            "plain\ttext\n",
		"größe 日本\u3000語 €":        "größe 日本\u3000語 €",
		"\x1b]0;title\x07":         `\u001b]0;title\u0007`,
		"\r\x00\x7f\b":             `\u000d\u0000\u007f\u0008`,
		"\u009b31m":                `\u009b31m`,
		"\u202etxt.exe":            `\u202etxt.exe`,
		"\x9b31m\xff":              `\x9b31m\xff`,
		"\U000e0041":               `\U000e0041`,
		"{\"a\":\"\u009b\u007f\"}": `{"a":"\u009b\u007f"}`,
	} {
		var b bytes.Buffer
		s := &screen{w: &b}
		for _, c := range []byte(in) { // in pieces of one byte
			if n, err := s.Write([]byte{c}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if b.String() != want {
			t.Errorf("%q: got %q, want %q", in, b.String(), want)
		}
	}
}

// TestScreenIsForTerminals: only terminals get escapes, also in JSON.
func TestScreenIsForTerminals(t *testing.T) {
	var b bytes.Buffer
	if Screen(&b) != io.Writer(&b) {
		t.Error("a buffer is no terminal")
	}
	master, slave, _, err := linux.OpenPTY("/dev/ptmx")
	if err != nil {
		t.Skip("open a pseudoterminal: ", err)
	}
	defer master.Close()
	defer slave.Close()
	value := map[string]string{"label": "\u009b\u007f\x1b"}
	for _, show := range []func() error{
		func() error { return JSONLines(slave, []map[string]string{value}) },
		func() error { _, err := fmt.Fprintf(Screen(slave), "{\"label\":\"\u009b\u007f\"}\n"); return err },
	} {
		if err := show(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(master).ReadBytes('\n')
		if err != nil || bytes.ContainsAny(line, "\u009b\u007f\x1b") {
			t.Errorf("%q, %v", line, err)
		}
		if err := json.Unmarshal(line, &value); err != nil || value["label"][:2] != "\u009b" {
			t.Errorf("%q: %v", line, err)
		}
	}
}
