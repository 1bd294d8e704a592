package linux

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestOutward(t *testing.T) {
	maps := []IDMap{{0, 100000, 1000}, {1000, 5, 1}, {4294967290, 7, 4}}
	for id, want := range map[uint32]int64{0: 100000, 999: 100999, 1000: 5, 1001: -1, 4294967290: 7, 4294967293: 10, 4294967294: -1} {
		got, ok := Outward(maps, id)
		if ok != (want >= 0) || ok && int64(got) != want {
			t.Errorf("%d: %d %v, want %d", id, got, ok, want)
		}
	}
}

func TestAttachMapped(t *testing.T) {
	requireRoot(t)
	users, err := NewUserNS([]IDMap{{0, 100000, 1000}}, []IDMap{{0, 200000, 1000}})
	if err != nil {
		t.Fatal(err)
	}
	defer users.Close()
	source, target := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(source, "file"), 7, 8); err != nil {
		t.Fatal(err)
	}
	if err := AttachMapped(source, target, users); err != nil {
		t.Fatal(err)
	}
	defer Unmount(target, MntDetach)
	info, err := os.Stat(filepath.Join(target, "file"))
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 100007 || st.Gid != 200008 {
		t.Errorf("%d:%d", st.Uid, st.Gid)
	}
}

func TestNewUserNSRejectsBadMaps(t *testing.T) {
	requireRoot(t)
	for _, maps := range [][]IDMap{{}, {{0, 4294967295, 1}}, {{0, 1, 0}}, {{0, 100000, 10}, {5, 200000, 10}}} {
		if users, err := NewUserNS(maps, []IDMap{{0, 1, 1}}); err == nil {
			users.Close()
			t.Errorf("%v: no error", maps)
		}
	}
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("MYDOCKER_MUST_RUN") != "" {
			t.Fatal("must run as root")
		}
		t.Skip("id maps of several ids need root")
	}
}
