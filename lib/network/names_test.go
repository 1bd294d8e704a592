package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weikeit/mydocker/lib/state"
)

// named makes a container with a file of hosts, and what it is connected to.
func (m *Manager) named(t *testing.T, last byte, hosts string, names ...string) (string, state.Net) {
	t.Helper()
	id := m.newContainer(t)
	if err := os.WriteFile(m.hostsPath(id), []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	address := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, 0, last}), 24)
	return id, state.Net{Mode: modeBridge, Names: names, Endpoints: []state.Endpoint{{Network: "n1", Address: address}}}
}

func (m *Manager) hosts(t *testing.T, id string) string {
	t.Helper()
	data, err := os.ReadFile(m.hostsPath(id))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Whoever comes and goes, in whatever order, what the containers wrote stays, and of ours there is what there
// should be.
func TestNamesComeAndGo(t *testing.T) {
	m := newManager(t)
	const own = "127.0.0.1\tlocalhost\n# a word\t# mydocker\n\n192.0.2.1 theirs"
	type box struct {
		id string
		n  state.Net
	}
	boxes := make([]box, 5)
	in := make(map[int]bool)
	for i := range boxes {
		boxes[i].id, boxes[i].n = m.named(t, byte(i+2), own, fmt.Sprint("c", i))
	}
	for step, i := range []int{0, 1, 2, 0, 3, 1, 4, 4, 0, 3, 2, 1, 0, 1} {
		change := m.addNames
		if in[i] {
			change = m.removeNames
		}
		in[i] = !in[i]
		if err := change(boxes[i].id, boxes[i].n); err != nil {
			t.Fatal(err)
		}
		for j, b := range boxes {
			text := m.hosts(t, b.id)
			if !strings.HasPrefix(text, own) {
				t.Fatalf("step %d: what container %d wrote is not there any more:\n%s", step, j, text)
			}
			for k := range boxes {
				want := 0
				if in[j] && in[k] {
					want = 1
				}
				if got := strings.Count(text, fmt.Sprintf("10.77.0.%d\tc%d\t", k+2, k)); got != want {
					t.Fatalf("step %d: container %d has %d lines for %d, want %d:\n%s", step, j, got, k, want, text)
				}
			}
		}
	}
}

// Who goes before anybody knows its id finds the others, and is not told to them.
func TestUnnamedOnlyListens(t *testing.T) {
	m := newManager(t)
	first, firstNet := m.named(t, 2, "", "first")
	id, n := m.named(t, 3, "", "unnamed")
	later, laterNet := m.named(t, 4, "", "later")
	n.Unnamed = true
	for _, c := range []struct {
		id string
		n  state.Net
	}{{first, firstNet}, {id, n}, {later, laterNet}} {
		if err := m.addNames(c.id, c.n); err != nil {
			t.Fatal(err)
		}
	}
	own := m.hosts(t, id)
	for _, want := range []string{"10.77.0.2\tfirst", "10.77.0.3\tunnamed", "10.77.0.4\tlater"} {
		if !strings.Contains(own, want) {
			t.Errorf("it has\n%s\nwant %s in it", own, want)
		}
	}
	if text := m.hosts(t, first) + m.hosts(t, later); strings.Contains(text, "unnamed") {
		t.Errorf("the others have\n%s", text)
	}
	if err := m.removeNames(id, n); err != nil {
		t.Error(err)
	}
}

// What was being written when its writer was killed goes with the next container that comes into any network, or
// goes from one, and so does the directory.
func TestTornMembersGo(t *testing.T) {
	m := newManager(t)
	torn := func() {
		t.Helper()
		// A directory in the list's place stops a writer between its write(2) and its rename(2), as a SIGKILL does.
		blue := filepath.Join(m.namesDir(), "blue")
		if err := os.MkdirAll(blue, 0o700); err != nil {
			t.Fatal(err)
		}
		if m.writeMembers("blue", []member{{id: "0123456789ab"}}) == nil {
			t.Fatal("a list took the place of a directory")
		}
		if err := os.Remove(blue); err != nil {
			t.Fatal(err)
		}
	}
	left := func() string {
		paths, err := filepath.Glob(filepath.Join(m.namesDir(), "*"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(paths, " ")
	}
	id, n := m.named(t, 2, "", "first")
	torn()
	if err := m.addNames(id, n); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(m.namesDir(), "n1"); left() != want {
		t.Errorf("after one came there are %s, want %s", left(), want)
	}
	torn()
	if err := m.removeNames(id, n); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(m.namesDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the last one went: %s, %v", left(), err)
	}
}

// What a container did to its file hinders no other.
func TestOddHosts(t *testing.T) {
	m := newManager(t)
	good, goodNet := m.named(t, 2, "127.0.0.1\tlocalhost\n", "good")
	if err := m.addNames(good, goodNet); err != nil {
		t.Fatal(err)
	}
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, spoil := range []func(path string) error{
		os.Remove,
		func(path string) error { return os.Truncate(path, maxHosts+1) },
		func(path string) error { os.Remove(path); return os.Mkdir(path, 0o700) },
		func(path string) error { os.Remove(path); return os.Symlink(secret, path) },
		func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat(mark+"n1:x\n", 9)+mark), 0o644)
		},
	} {
		id, n := m.named(t, byte(10+i), "127.0.0.1\tlocalhost\n", "odd")
		if err := m.addNames(id, n); err != nil {
			t.Fatal(err)
		}
		if err := spoil(m.hostsPath(id)); err != nil {
			t.Fatal(err)
		}
		other, otherNet := m.named(t, 3, "127.0.0.1\tlocalhost\n", "other")
		if err := m.addNames(other, otherNet); err != nil {
			t.Error(i, err)
		}
		if err := m.removeNames(other, otherNet); err != nil {
			t.Error(i, err)
		}
		if text := m.hosts(t, good); strings.Contains(text, "other") || !strings.Contains(text, "odd") {
			t.Errorf("%d: the good one has\n%s", i, text)
		}
		os.RemoveAll(m.hostsPath(id))
		if err := m.removeNames(id, n); err != nil {
			t.Error(i, err)
		}
	}
	if data, _ := os.ReadFile(secret); string(data) != "secret\n" {
		t.Errorf("a link was followed: %s", data)
	}
}
