package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/firewall"
	"github.com/weikeit/mydocker/lib/link"
	"github.com/weikeit/mydocker/lib/linux"
)

// The lines of --debug do the same when they are pasted into a shell.
func TestDebugLinesCanBePasted(t *testing.T) {
	requireKernel(t)
	checkLeftovers(t)
	m, ctx := newManager(t), context.Background()
	t.Cleanup(func() { m.mustRemove(t, Default) })
	var lines strings.Builder
	slog.SetDefault(slog.New(lineHandler{&lines}))
	t.Cleanup(func() { slog.SetDefault(slog.New(slog.DiscardHandler)) })

	state := func(path string) string {
		var kept []string
		for _, line := range append(leftovers(t), sh(t, "nsenter --net=%s sh -c 'ip -4 addr; ip -4 route'", path)) {
			// The link-local addresses of the host's ends are random.
			if !strings.Contains(line, "inet6") && !strings.Contains(line, "fe80") && !strings.Contains(line, "ff00") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "\n")
	}
	c := m.attachTo(t, Connection{Publish: []string{"8001:80", "8100-8110:80-90/udp"}})
	n, err := m.dir.ReadNet(c.id)
	if err != nil {
		t.Fatal(err)
	}
	script := lines.String()
	want := state(c.path)
	if err := m.Release(ctx, c.id); err != nil {
		t.Fatal(err)
	}
	m.mustRemove(t, Default)

	sh(t, "%s", script)
	got := state(c.path)
	// A busy kernel detects the carrier late.
	if index := regexp.MustCompile(`if[0-9]+|(?m)^[0-9]+: |NO-CARRIER,|,LOWER_UP| state [A-Z]+| linkdown`); index.ReplaceAllString(got, "") != index.ReplaceAllString(want, "") {
		t.Errorf("the script\n%smade:\n%s\nwant:\n%s", script, got, want)
	}
	if err := errors.Join(link.Delete(n.Endpoints[0].HostLink), linux.RemoveNetNS(c.path), link.Delete(Default),
		m.firewall.RemoveContainer(ctx, c.id), m.firewall.Remove(ctx, firewall.NetworkTag(Default))); err != nil {
		t.Error(err)
	}
}

// lineHandler writes only the messages.
type lineHandler struct{ w io.Writer }

func (lineHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h lineHandler) Handle(_ context.Context, r slog.Record) error {
	_, err := fmt.Fprintln(h.w, r.Message)
	return err
}
func (h lineHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h lineHandler) WithGroup(string) slog.Handler      { return h }
