package rootfs

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/state"
)

func TestParseVolume(t *testing.T) {
	tests := []struct {
		word  string
		want  volumeOption // without word
		error string
	}{
		{word: "/data", want: volumeOption{anonymous: true, destination: "/data"}},
		{word: "/a:/b", want: volumeOption{source: "/a", destination: "/b"}},
		{word: "/a/../c/:/b/../d/", want: volumeOption{source: "/c", destination: "/d"}},
		{word: "~:/b", want: volumeOption{source: "/home/me", destination: "/b"}},
		{word: "~/x:/b:ro", want: volumeOption{source: "/home/me/x", destination: "/b", readOnly: true}},
		{word: "db:/b:rw,nocopy", want: volumeOption{name: "db", destination: "/b", noCopy: true}},
		{word: "/a:/b:ro,rslave", want: volumeOption{source: "/a", destination: "/b", readOnly: true, propagation: "rslave"}},
		{word: "/a:/b:shared", want: volumeOption{source: "/a", destination: "/b", propagation: "shared"}},
		{word: "", error: "want [SOURCE:]DESTINATION[:OPTIONS]"},
		{word: ":/b", error: "want [SOURCE:]DESTINATION[:OPTIONS]"},
		{word: "/a:", error: "want [SOURCE:]DESTINATION[:OPTIONS]"},
		{word: "/a:/b:", error: "want [SOURCE:]DESTINATION[:OPTIONS]"},
		{word: "/a:/b:ro:rw", error: "want [SOURCE:]DESTINATION[:OPTIONS]"},
		{word: "/", error: "must not be /"},
		{word: "/a:/", error: "must not be /"},
		{word: "/a:/b/..", error: "must not be /"},
		{word: "/a:b", error: "want an absolute path"},
		{word: "a:b", error: "volume name"},
		{word: "ab:b", error: "want an absolute path"},
		{word: "/a:/proc/sys", error: "must not be in /proc"},
		{word: "~you/x:/b", error: "not supported"},
		{word: "-db:/b", error: "volume name"},
		{word: "d/b:/b", error: "volume name"},
		{word: "/a:/b:y", error: `option "y"`},
		{word: "/a:/b:ro,rw", error: "exclude each other"},
		{word: "/a:/b:shared,slave", error: "exclude each other"},
		{word: "/a:/b:nocopy", error: "for volumes"},
		{word: "db:/b:shared", error: "for binds"},
		{word: "/a:/b:ro,", error: "option"},
	}
	for _, tt := range tests {
		got, err := parseVolume(tt.word, "/home/me")
		tt.want.word = tt.word
		switch {
		case tt.error != "" && (err == nil || !strings.Contains(err.Error(), tt.error)):
			t.Errorf("%q: got error %v, want %q", tt.word, err, tt.error)
		case tt.error == "" && (err != nil || got != tt.want):
			t.Errorf("%q: got %+v, %v", tt.word, got, err)
		}
	}
	if _, err := parseVolume("~/x:/b", ""); err == nil || !strings.Contains(err.Error(), "HOME") {
		t.Errorf("without HOME: %v", err)
	}
}

func TestParseTmpfs(t *testing.T) {
	tests := []struct {
		word  string
		want  []string
		error string
	}{
		{word: "/run", want: []string{"nosuid", "nodev", "noexec"}},
		{word: "/run:size=64m,mode=1777", want: []string{"nosuid", "nodev", "noexec", "size=64m", "mode=1777"}},
		{word: "/run:exec,ro", want: []string{"nosuid", "nodev", "exec", "ro"}},
		{word: "/run:noexec", want: []string{"nosuid", "nodev", "noexec"}},
		{word: "run", error: "absolute"},
		{word: "/", error: "must not be /"},
		{word: "/run:size", error: "not a tmpfs option"},
		{word: "/run:size=", error: "not a tmpfs option"},
		{word: "/run:ro=1", error: "not a tmpfs option"},
		{word: "/run:upperdir=/x", error: "not a tmpfs option"},
	}
	for _, tt := range tests {
		got, err := parseTmpfs(tt.word)
		switch {
		case tt.error != "" && (err == nil || !strings.Contains(err.Error(), tt.error)):
			t.Errorf("%q: got error %v, want %q", tt.word, err, tt.error)
		case tt.error == "" && (err != nil || !reflect.DeepEqual(got.options, tt.want)):
			t.Errorf("%q: got %q, %v", tt.word, got.options, err)
		}
	}
}

func TestDuplicateDestinations(t *testing.T) {
	m := New(state.Dir{Root: "/nowhere", Run: "/nowhere"})
	for _, o := range []Options{
		{Files: Files{Volume: []string{"/a:/x", "/b:/x/"}}},
		{Files: Files{Volume: []string{"/a:/x"}}, Extras: Extras{Tmpfs: []string{"/y/../x"}}},
	} {
		if _, err := m.parse(o); err == nil || !strings.Contains(err.Error(), "given twice") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestCheckOptions(t *testing.T) {
	m := New(state.Dir{Root: "/nowhere", Run: "/nowhere"})
	for want, o := range map[string]Options{
		"container name":     {Identity: Identity{Name: "../x"}},
		"hostname":           {Identity: Identity{Hostname: "a b"}},
		"longer than 64":     {Identity: Identity{Hostname: strings.Repeat("a", 65)}},
		"not an IP address":  {Identity: Identity{DNS: []string{"dns.example"}}},
		"working directory":  {Extras: Extras{Workdir: "x"}},
		"want NAME=VALUE":    {Files: Files{Env: []string{"=x"}}},
		"environment file":   {Extras: Extras{EnvFile: []string{"/nowhere/env"}}},
		"label":              {Extras: Extras{Label: []string{"=x"}}},
		"is reserved":        {Extras: Extras{Label: []string{"mydocker.id=x"}}},
		"no such signal":     {Extras: Extras{StopSignal: "SIGNOT"}},
		"destination must":   {Files: Files{Volume: []string{"/a:/"}}},
		"not a tmpfs option": {Extras: Extras{Tmpfs: []string{"/x:y"}}},
		"want overlay2, auf": {Driver: Driver{StorageDriver: "btrfs"}},
	} {
		if _, err := m.parse(o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestAddImageVolumes(t *testing.T) {
	p := &plan{volumes: []volumeOption{{destination: "/a", source: "/x"}}, taken: map[string]bool{"/a": true, "/t": true}}
	if err := p.addImageVolumes(map[string]struct{}{"/a/": {}, "b": {}, "/b/": {}, "/c/../d": {}, "/t": {}}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range p.volumes[1:] {
		got = append(got, v.destination)
		if !v.anonymous || state.CheckName("volume", v.name) != nil {
			t.Errorf("%+v", v)
		}
	}
	if want := []string{"/b", "/d"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, word := range []string{"/", "..", "/proc"} {
		if err := p.addImageVolumes(map[string]struct{}{word: {}}); err == nil {
			t.Errorf("VOLUME %q is accepted", word)
		}
	}
}

// TestDropDevMounts checks that no mount point is created in a host directory that is bind-mounted at /dev.
func TestDropDevMounts(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "pts"), 0o755); err != nil {
		t.Fatal(err)
	}
	bind := specs.Mount{Destination: "/dev", Type: "bind", Source: dir}
	pts, shm := specs.Mount{Destination: "/dev/pts", Type: "devpts"}, specs.Mount{Destination: "/dev/shm", Type: "tmpfs"}
	file := specs.Mount{Destination: "/dev/log", Type: "bind", Source: dir}
	sys := specs.Mount{Destination: "/sys", Type: "sysfs"}
	want := []specs.Mount{bind, pts, file, sys}
	if got := dropDevMounts([]specs.Mount{bind, pts, shm, file, sys}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	own := []specs.Mount{{Destination: "/dev", Type: "tmpfs"}, pts, shm}
	if got := dropDevMounts(slices.Clone(own)); !reflect.DeepEqual(got, own) {
		t.Errorf("got %v, want %v", got, own)
	}
}

func TestAddMounts(t *testing.T) {
	at := func(destinations ...string) (mounts []specs.Mount) {
		for _, d := range destinations {
			mounts = append(mounts, specs.Mount{Destination: d})
		}
		return mounts
	}
	tests := []struct{ have, ours, want []specs.Mount }{
		{at("/proc", "/dev", "/dev/shm"), at("/x"), at("/proc", "/dev", "/dev/shm", "/x")},
		{at("/proc", "/dev", "/dev/shm"), at("/dev/shm"), at("/proc", "/dev", "/dev/shm")},
		{at("/proc", "/sys/fs/cgroup"), at("/sys"), at("/proc", "/sys", "/sys/fs/cgroup")},
		{nil, at("/etc/hosts", "/a/b/c", "/etc", "/a"), at("/etc", "/a", "/etc/hosts", "/a/b/c")},
		{at("/a"), at("/ab", "/a/b"), at("/a", "/ab", "/a/b")},
	}
	for _, tt := range tests {
		if got := addMounts(tt.have, tt.ours); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("got %v, want %v", got, tt.want)
		}
	}
}

// FuzzParseVolume checks that no option yields an invalid destination, name or source.
func FuzzParseVolume(f *testing.F) {
	for _, word := range []string{"/data", "/a:/b:ro", "db:/b:nocopy", "~/x:/b", "../x:/y"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		v, err := parseVolume(word, "/home/me")
		if err != nil {
			return
		}
		if d, err := checkDestination(v.destination); err != nil || d != v.destination {
			t.Errorf("destination %q: %v", v.destination, err)
		}
		if v.name != "" && state.CheckName("volume", v.name) != nil {
			t.Errorf("name %q", v.name)
		}
		kinds := 0
		for _, is := range []bool{v.name != "", v.source != "", v.anonymous} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%+v is not one of bind, named, anonymous", v)
		}
	})
}
