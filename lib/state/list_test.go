package state

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weikeit/mydocker/lib/spec"
)

func newDir(t *testing.T) Dir {
	top := t.TempDir()
	return Dir{Root: filepath.Join(top, "lib"), Run: filepath.Join(top, "run")}
}

// add makes a container of the given age.
func (d Dir) add(t *testing.T, id, name string, age time.Duration) {
	t.Helper()
	s := spec.New(id)
	s.Annotate(spec.AnnotationName, name)
	data, err := s.Encode()
	must(t, err)
	must(t, WriteFile(d.Config(id), data, 0o600))
	must(t, WriteJSON(filepath.Join(d.Bundle(id), SpawnFile), Spawn{Created: time.Now().Add(-age)}))
	if name != "" {
		must(t, d.ClaimName(name, id))
	}
}

func tear(t *testing.T, path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(`{"init":{"pid":1`), 0o600))
}

func TestResolve(t *testing.T) {
	d := newDir(t)
	d.add(t, "aaaaaaaaaaaa", "web", 0)
	d.add(t, "aaaaaaaaaabb", "abcdef", 0)
	d.add(t, "abcdef000000", "aaaaaaaaaaaa", 0) // its name is another's id
	d.add(t, "cccccccccccc", "", 0)
	must(t, Claim(filepath.Join(d.Names(), "stale"), "dddddddddddd"))
	must(t, Claim(filepath.Join(d.Names(), "broken"), "../../etc"))
	tests := []struct{ arg, want string }{
		{"aaaaaaaaaaaa", "aaaaaaaaaaaa"}, // an id goes before a name
		{"web", "aaaaaaaaaaaa"},
		{"abcdef", "aaaaaaaaaabb"}, // a name goes before a prefix of an id
		{"abc", "abcdef000000"},
		{"c", "cccccccccccc"},
		{"cccccccccccc", "cccccccccccc"},
		{"aaaaaaaaaab", "aaaaaaaaaabb"},
		{"aaaa", "ambiguous id: aaaaaaaaaaaa aaaaaaaaaabb"},
		{"", "not found"},
		{"we", "not found"}, // no prefixes of names
		{"WEB", "not found"},
		{"stale", "not found"},
		{"broken", "not found"},
		{"dddddddddddd", "not found"},
		{"../containers/cccccccccccc", "not found"},
		{"..", "not found"},
		{"cccccccccccc0", "not found"},
		{strings.Repeat("c", 5000), "not found"},
	}
	for _, tt := range tests {
		got, err := d.Resolve(tt.arg)
		if err != nil {
			got = err.Error()
			if strings.HasSuffix(tt.want, "not found") != errors.Is(err, ErrNotFound) || len(got) > 200 {
				t.Errorf("%.20q: %v", tt.arg, err)
			}
		}
		if !strings.HasSuffix(got, tt.want) {
			t.Errorf("%q: got %s, want %s", tt.arg, got, tt.want)
		}
	}
	if _, err := (Dir{Root: t.TempDir()}).Resolve("web"); !errors.Is(err, ErrNotFound) {
		t.Errorf("in an empty directory: %v", err)
	}
}

func TestListSkipsUnreadable(t *testing.T) {
	d := newDir(t)
	for i, id := range []string{"000000000001", "000000000002", "000000000003", "000000000004", "000000000005"} {
		d.add(t, id, "", time.Duration(i)*time.Hour)
	}
	tear(t, d.Config("000000000002"))
	tear(t, filepath.Join(d.Runtime("000000000003"), RunFile))
	tear(t, filepath.Join(d.Bundle("000000000003"), NetFile))
	tear(t, filepath.Join(d.Bundle("000000000005"), SpawnFile))
	must(t, os.MkdirAll(d.Bundle("00000000000a"), 0o700)) // a pipe is still making it
	must(t, os.MkdirAll(d.Bundle("no id"), 0o700))
	must(t, os.Remove(d.Config("000000000004")))
	must(t, os.Mkdir(d.Config("000000000004"), 0o700)) // a directory
	var bad []string
	list, err := d.List(func(err error) { bad = append(bad, err.Error()) })
	must(t, err)
	var ids []string
	for _, c := range list {
		ids = append(ids, c.ID)
		if c.Running || c.Status() != StatusCreated || c.Created.IsZero() {
			t.Errorf("%s: %s, created %v", c.ID, c.Status(), c.Created)
		}
	}
	// The fifth container has lost its creation time and gets that of its directory, which is the newest.
	if got := strings.Join(ids, " "); got != "000000000005 000000000001 000000000003" {
		t.Errorf("listed %s", got)
	}
	if len(bad) != 2 || !strings.Contains(bad[0], "000000000002") || !strings.Contains(bad[1], "000000000004") {
		t.Errorf("reported %q", bad)
	}
	if list, err := newDir(t).List(nil); err != nil || len(list) != 0 {
		t.Errorf("in an empty directory: %v %v", list, err)
	}
}

func TestStatus(t *testing.T) {
	self, err := FindProcess(os.Getpid())
	must(t, err)
	gone := self
	gone.Start++
	then := time.Now()
	tests := []struct {
		name string
		life Spawn
		run  Run
		want string
		oci  string
	}{
		{"created", Spawn{}, Run{}, StatusCreated, `"status":"created"`},
		{"running", Spawn{Started: then}, Run{Init: self}, StatusRunning, `"status":"running","pid":` + strconv.Itoa(os.Getpid())},
		{"ended", Spawn{Started: then, Finished: then}, Run{}, StatusExited, `"status":"stopped"`},
		{"ended unseen", Spawn{Started: then}, Run{Init: gone}, StatusExited, `"status":"stopped"`},
		{"running, not kept", Spawn{}, Run{Init: self}, StatusRunning, `"status":"running"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDir(t)
			d.add(t, "0123456789ab", "", 0)
			must(t, WriteJSON(filepath.Join(d.Bundle("0123456789ab"), SpawnFile), tt.life))
			must(t, WriteVolatile(filepath.Join(d.Runtime("0123456789ab"), RunFile), tt.run))
			c, err := d.Load("0123456789ab")
			must(t, err)
			if unseen := tt.name == "ended unseen"; (c.Spawn.ExitCode == KilledCode) != unseen {
				t.Errorf("exit code %d", c.Spawn.ExitCode)
			}
			oci, err := c.OCIState()
			must(t, err)
			if c.Status() != tt.want || !strings.Contains(string(oci), tt.oci) {
				t.Errorf("got %s, %s", c.Status(), oci)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	d := newDir(t)
	if _, err := d.Load("0123456789ab"); !errors.Is(err, ErrNotFound) {
		t.Errorf("missing container: %v", err)
	}
	if _, err := d.Load("../x"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("path as an id: %v", err)
	}
	if d.Kept("0123456789ab") {
		t.Error("a missing container is kept")
	}
	d.add(t, "0123456789ab", "", 0)
	if !d.Kept("0123456789ab") {
		t.Error("container is not kept")
	}
	must(t, WriteJSON(filepath.Join(d.Bundle("0123456789ab"), NetFile), Net{Mode: "none"}))
	c, err := d.Load("0123456789ab")
	if err != nil || c.Net.Mode != "none" || c.Spec.ID() != "0123456789ab" {
		t.Errorf("%+v, %v", c, err)
	}
}
