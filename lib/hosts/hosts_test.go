package hosts

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

func newFiles(t *testing.T) Files {
	t.Helper()
	base := t.TempDir()
	dir := state.Dir{Root: filepath.Join(base, "root"), Run: filepath.Join(base, "run")}
	return In(dir)
}

// named makes a container with a hosts file, and its record.
func (f Files) named(t *testing.T, last byte, hosts string, names ...string) (string, state.Net) {
	t.Helper()
	id := state.NewID()
	if err := os.MkdirAll(f.dir.Bundle(id), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path(id), []byte(hosts), 0o644); err != nil {
		t.Fatal(err)
	}
	address := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, 0, last}), 24)
	return id, state.Net{Mode: state.ModeBridge, Names: names, Endpoints: []state.Endpoint{{Network: "n1", Address: address}}}
}

// add adds a container that has no gateway.
func (f Files) add(id string, n state.Net) error { return f.Add(id, n, netip.Addr{}) }

func (f Files) hosts(t *testing.T, id string) string {
	t.Helper()
	data, err := os.ReadFile(f.path(id))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Containers join and leave in any order: the lines that they wrote themselves stay, and each file has exactly the lines of
// the current members.
func TestMembersComeAndGo(t *testing.T) {
	f := newFiles(t)
	const own = "127.0.0.1\tlocalhost\n# a word\t# mydocker\n\n192.0.2.1 theirs"
	type box struct {
		id string
		n  state.Net
	}
	boxes := make([]box, 5)
	in := make(map[int]bool)
	for i := range boxes {
		boxes[i].id, boxes[i].n = f.named(t, byte(i+2), own, fmt.Sprint("c", i))
	}
	for step, i := range []int{0, 1, 2, 0, 3, 1, 4, 4, 0, 3, 2, 1, 0, 1} {
		change := f.add
		if in[i] {
			change = f.Remove
		}
		in[i] = !in[i]
		if err := change(boxes[i].id, boxes[i].n); err != nil {
			t.Fatal(err)
		}
		for j, b := range boxes {
			text := f.hosts(t, b.id)
			if !strings.HasPrefix(text, own) {
				t.Fatalf("step %d: the lines that container %d wrote are gone:\n%s", step, j, text)
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

// An unnamed container finds the others, and is not in their files.
func TestUnnamedIsNotInOtherFiles(t *testing.T) {
	f := newFiles(t)
	first, firstNet := f.named(t, 2, "", "first")
	id, n := f.named(t, 3, "", "unnamed")
	later, laterNet := f.named(t, 4, "", "later")
	n.Unnamed = true
	for _, c := range []struct {
		id string
		n  state.Net
	}{{first, firstNet}, {id, n}, {later, laterNet}} {
		if err := f.add(c.id, c.n); err != nil {
			t.Fatal(err)
		}
	}
	own := f.hosts(t, id)
	for _, want := range []string{"10.77.0.2\tfirst", "10.77.0.3\tunnamed", "10.77.0.4\tlater"} {
		if !strings.Contains(own, want) {
			t.Errorf("it has\n%s\nwant %s in it", own, want)
		}
	}
	if text := f.hosts(t, first) + f.hosts(t, later); strings.Contains(text, "unnamed") {
		t.Errorf("the others have\n%s", text)
	}
	if err := f.Remove(id, n); err != nil {
		t.Error(err)
	}
}

// The temporary file of a killed writer goes when the next container joins or leaves any network, and so does the
// directory.
func TestTornMembersAreRemoved(t *testing.T) {
	f := newFiles(t)
	torn := func() {
		t.Helper()
		// A directory with the list's name stops the writer between write(2) and rename(2), as a SIGKILL would.
		blue := filepath.Join(f.membersDir(), "blue")
		if err := os.MkdirAll(blue, 0o700); err != nil {
			t.Fatal(err)
		}
		if f.writeMembers("blue", []member{{id: "0123456789ab"}}) == nil {
			t.Fatal("the list replaced a directory")
		}
		if err := os.Remove(blue); err != nil {
			t.Fatal(err)
		}
	}
	left := func() string {
		paths, err := filepath.Glob(filepath.Join(f.membersDir(), "*"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(paths, " ")
	}
	id, n := f.named(t, 2, "", "first")
	torn()
	if err := f.add(id, n); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(f.membersDir(), "n1"); left() != want {
		t.Errorf("after a container joined: %s, want %s", left(), want)
	}
	torn()
	if err := f.Remove(id, n); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.membersDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the last one left: %s, %v", left(), err)
	}
}

// A container cannot block others through its hosts file.
func TestOddHosts(t *testing.T) {
	f := newFiles(t)
	good, goodNet := f.named(t, 2, "127.0.0.1\tlocalhost\n", "good")
	if err := f.add(good, goodNet); err != nil {
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
		id, n := f.named(t, byte(10+i), "127.0.0.1\tlocalhost\n", "odd")
		if err := f.add(id, n); err != nil {
			t.Fatal(err)
		}
		if err := spoil(f.path(id)); err != nil {
			t.Fatal(err)
		}
		other, otherNet := f.named(t, 3, "127.0.0.1\tlocalhost\n", "other")
		if err := f.add(other, otherNet); err != nil {
			t.Error(i, err)
		}
		if err := f.Remove(other, otherNet); err != nil {
			t.Error(i, err)
		}
		if text := f.hosts(t, good); strings.Contains(text, "other") || !strings.Contains(text, "odd") {
			t.Errorf("%d: the first container has\n%s", i, text)
		}
		os.RemoveAll(f.path(id))
		if err := f.Remove(id, n); err != nil {
			t.Error(i, err)
		}
	}
	if data, _ := os.ReadFile(secret); string(data) != "secret\n" {
		t.Errorf("a symbolic link was followed: %s", data)
	}
}
