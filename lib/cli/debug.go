package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// Debug sends debug messages to w in the README's log format.
func Debug(w io.Writer) {
	slog.SetDefault(slog.New(&debugHandler{w: Screen(w)}))
}

// debugHandler prints records as "[2019-01-25 09:55:03] DEBUG message key=value".
type debugHandler struct {
	w     io.Writer
	attrs []slog.Attr
}

func (h *debugHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelDebug
}

func (h *debugHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s] %s %s", r.Time.Format(time.DateTime), r.Level, r.Message)
	attr := func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	}
	for _, a := range h.attrs {
		attr(a)
	}
	r.Attrs(attr)
	b.WriteByte('\n')
	_, err := io.WriteString(h.w, b.String())
	return err
}

func (h *debugHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &debugHandler{w: h.w, attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

func (h *debugHandler) WithGroup(string) slog.Handler { return h }
