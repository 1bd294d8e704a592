package monitor

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestUntilDetached: the two keys detach, in one read or in two, and no other input is lost.
func TestUntilDetached(t *testing.T) {
	for _, tt := range []struct {
		typed, want string
		detached    bool
	}{
		{"ls\n", "ls\n", false},
		{"ls\n\x10\x11never", "ls\n", true},
		{"\x10\x10\x11x", "\x10", true},
		{"a\x10b\x11c", "a\x10b\x11c", false},
		{"\x10", "", false}, // held back until the next key
		{"\x10\x11", "", true},
	} {
		for name, in := range map[string]io.Reader{
			"at once": strings.NewReader(tt.typed), "a byte a time": iotest.OneByteReader(strings.NewReader(tt.typed)),
		} {
			got, err := io.ReadAll(&untilDetached{in: in, keys: true})
			if string(got) != tt.want || errors.Is(err, errDetached) != tt.detached {
				t.Errorf("%q %s: %q, %v, want %q, %v", tt.typed, name, got, err, tt.want, tt.detached)
			}
		}
	}
	got, err := io.ReadAll(&untilDetached{in: strings.NewReader("\x10\x11x")})
	if string(got) != "\x10\x11x" || err != nil {
		t.Errorf("without keys: %q, %v", got, err)
	}
}
