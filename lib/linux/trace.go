// Package linux holds thin, safe wrappers around system calls. It is the only package that
// imports golang.org/x/sys/unix, so that every call carries what was done to what in its error,
// and every change to the kernel can be shown as the shell command that would do the same.
package linux

import (
	"context"
	"log/slog"
	"strings"
)

// Tracing reports whether somebody listens to [Trace] (--debug was given). Use it only to save
// costly preparations: Trace asks by itself.
func Tracing() bool {
	return slog.Default().Enabled(context.Background(), slog.LevelDebug)
}

// Trace shows one change to the kernel as a shell command. The words are quoted as needed, so
// that the line can be pasted into a POSIX shell.
func Trace(argv ...string) {
	if Tracing() {
		slog.Debug(Quote(argv...))
	}
}

// TraceWrite shows that value is written to the file at path.
func TraceWrite(path, value string) {
	if Tracing() {
		slog.Debug("echo " + Quote(value) + " > " + Quote(path))
	}
}

// Quote joins words into one line that a POSIX shell splits into the same words again
// (POSIX.1-2017, XCU 2.2 Quoting).
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

// special reports whether a shell could see more in r than itself. What is not surely plain
// counts as special: needless quotes are harmless.
func special(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("_-+./:,@%=", r)
}
