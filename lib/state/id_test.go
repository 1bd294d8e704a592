package state

import (
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/spec"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"ab", "a1", "0a", "mysql-test", "A_b.c-D", strings.Repeat("a", 128)} {
		if err := CheckName("container", name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{
		"", "a", ".", "..", "../x", "a/b", "/etc", "-a", "_a", ".ab", "a b", "a\n", "ab\n", "\nab", "a\x00b", "aä", "a:b", "a@b",
		strings.Repeat("a", 129), strings.Repeat("a", 300), "a\x1b[31m",
	} {
		err := CheckName("network", name)
		if err == nil {
			t.Errorf("%q is accepted", name)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "network name ") || len(text) > 250 || strings.ContainsAny(text, "\n\x1b\x00") {
			t.Errorf("%q: %q", name, text)
		}
	}
}

func TestIDs(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := NewID()
		if CheckID(id) != nil || seen[id] {
			t.Fatalf("id %s", id)
		}
		seen[id] = true
	}
	for _, id := range []string{
		"", "0123456789a", "0123456789abc", "0123456789AB", "0123456789ag", "../456789abc", "0123456789ab\n", "0123456789a/", strings.Repeat("0", 64),
	} {
		if IsID(id) || CheckID(id) == nil {
			t.Errorf("%q is an id", id)
		}
	}
}

func TestEnsureID(t *testing.T) {
	s := &spec.Spec{}
	id, err := EnsureID(s)
	if err != nil || !IsID(id) || s.ID() != id {
		t.Errorf("%q, %v, %q", id, err, s.ID())
	}
	if again, err := EnsureID(s); again != id || err != nil {
		t.Errorf("%q, %v", again, err)
	}
	s.Annotate(spec.AnnotationID, "../../etc")
	if _, err := EnsureID(s); err == nil {
		t.Error("EnsureID accepts a path")
	}
}
