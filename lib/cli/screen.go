package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Screen returns a writer for text that may come from an untrusted source, such as an image's labels. On a terminal it
// prints control characters as escapes that are valid in JSON, \u001b. Otherwise it returns w.
func Screen(w io.Writer) io.Writer {
	if !IsTerminal(w) {
		return w
	}
	return &screen{w: w}
}

type screen struct {
	w    io.Writer
	rest []byte // the beginning of a character
}

func (s *screen) Write(data []byte) (int, error) {
	text := append(s.rest, data...)
	var b strings.Builder
	for len(text) > 0 && utf8.FullRune(text) {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r == '\n' || r == '\t' || unicode.IsGraphic(r):
			b.Write(text[:size])
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		text = text[size:]
	}
	s.rest = append([]byte(nil), text...)
	if _, err := io.WriteString(s.w, b.String()); err != nil {
		return 0, err
	}
	return len(data), nil
}
