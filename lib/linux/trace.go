// Package linux holds thin wrappers around system calls. It is the only package that imports golang.org/x/sys/unix, so
// that errors name the operation and its target, and --debug can print the equivalent shell command of each change to
// the kernel.
package linux

import (
	"context"
	"log/slog"
	"strings"
)

// Tracing reports whether [Trace] prints (--debug). It is for skipping costly preparations; Trace checks by itself.
func Tracing() bool {
	return slog.Default().Enabled(context.Background(), slog.LevelDebug)
}

// Trace prints a change to the kernel as a shell command, quoted for a POSIX shell.
func Trace(argv ...string) {
	if Tracing() {
		slog.Debug(Quote(argv...))
	}
}

// TraceWrite prints a write of value to the file at path.
func TraceWrite(path, value string) {
	if Tracing() {
		slog.Debug("echo " + Quote(value) + " > " + Quote(path))
	}
}

// Quote joins words into a line that a POSIX shell splits into the same words (POSIX.1-2017, XCU 2.2 Quoting).
func Quote(argv ...string) string {
	var b strings.Builder
	for i, word := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		if word != "" && strings.IndexFunc(word, special) < 0 {
			b.WriteString(word)
			continue
		}
		b.WriteString("'" + strings.ReplaceAll(word, "'", `'\''`) + "'")
	}
	return b.String()
}

// special reports whether a shell may interpret r. Unlisted characters count as special: needless quotes are harmless.
func special(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("_-+./:,@%=", r)
}
