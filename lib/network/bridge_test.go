package network

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

// An alias identifies the state directory, whatever its length and whichever path is used.
func TestAliasIsOfOneDirectory(t *testing.T) {
	top := t.TempDir()
	long := filepath.Join(top, strings.Repeat("d", 180))
	short := filepath.Join(top, "short")
	for _, dir := range []string{short, long + "/one", long + "/two", top + "/other"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"link": short, "linked": long} {
		if err := os.Symlink(target, filepath.Join(top, link)); err != nil {
			t.Fatal(err)
		}
	}
	of := func(root string) *Manager { return New(state.Dir{Root: root}) }
	for _, c := range []struct {
		made, asked string
		same        bool
	}{
		{short, short, true},
		{short, top + "/link", true},
		{top + "/link", short, true},
		{short, top + "/other", false},
		{long + "/one", long + "/one", true},
		{long + "/one", long + "/two", false},
		{long + "/one", top + "/linked/one", true},
		{top + "/linked/one", long + "/one", true},
		{top + "/linked/one", long + "/two", false},
	} {
		alias := of(c.made).alias("web")
		if len(alias) > 255 {
			t.Errorf("%s: %d bytes is too long", alias, len(alias))
		}
		if got := of(c.asked).isOurAlias("web", alias); got != c.same {
			t.Errorf("made with %s, checked with %s: %v", c.made, c.asked, got)
		}
		if of(c.made).isOurAlias("other", alias) {
			t.Errorf("%s: matches a bridge with another name", alias)
		}
	}
}
