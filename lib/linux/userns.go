package linux

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// IDMap is one line of a user namespace's map (user_namespaces(7)): Size ids from Inside on are the ids from Outside on
// in our namespace.
type IDMap struct{ Inside, Outside, Size uint32 }

// Outward maps an id of the namespace to the outside. ok is false if it is not mapped.
func Outward(maps []IDMap, id uint32) (uint32, bool) {
	for _, m := range maps {
		if id >= m.Inside && id-m.Inside < m.Size {
			return m.Outside + (id - m.Inside), true
		}
	}
	return 0, false
}

// MapsOf returns the maps of a user namespace, seen from ours.
func MapsOf(users *os.File) (uids, gids []IDMap, err error) {
	err = inChild(0, func(l *Steps) { l.Setns(FD(int(users.Fd())), NewUser) }, func(proc string) error {
		if uids, err = readMap(filepath.Join(proc, "uid_map")); err != nil {
			return err
		}
		gids, err = readMap(filepath.Join(proc, "gid_map"))
		return err
	})
	return uids, gids, err
}

// IsOwnUserNS reports whether a user namespace is the one of this process.
func IsOwnUserNS(users *os.File) bool {
	own, err := os.Stat("/proc/self/ns/user")
	if err != nil {
		return false
	}
	info, err := users.Stat()
	return err == nil && os.SameFile(own, info)
}

func readMap(path string) ([]IDMap, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var maps []IDMap
	for line := range strings.Lines(string(data)) {
		var m IDMap
		if _, err := fmt.Sscan(line, &m.Inside, &m.Outside, &m.Size); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		maps = append(maps, m)
	}
	return maps, nil
}

// NewUserNS returns a new user namespace with these maps. It lives as long as its descriptor and the objects that refer
// to it. The kernel needs a process to make one in: a child that is killed afterwards.
func NewUserNS(uids, gids []IDMap) (users *os.File, err error) {
	err = inChild(NewUser, func(*Steps) {}, func(proc string) error {
		for _, m := range []struct {
			file string
			maps []IDMap
		}{{"uid_map", uids}, {"gid_map", gids}} {
			var b strings.Builder
			for _, line := range m.maps {
				fmt.Fprintf(&b, "%d %d %d\n", line.Inside, line.Outside, line.Size)
			}
			if err := os.WriteFile(filepath.Join(proc, m.file), []byte(b.String()), 0); err != nil {
				return fmt.Errorf("write id map %s: %w", strings.TrimSpace(b.String()), errnoOf(err))
			}
		}
		users, err = os.Open(filepath.Join(proc, "ns", "user"))
		return err
	})
	return users, err
}

// inChild forks a child into new namespaces that performs the steps of prepare, calls do with its /proc directory, and
// kills it.
func inChild(namespaces int, prepare func(*Steps), do func(proc string) error) error {
	ours, theirs, err := SocketPair()
	if err != nil {
		return err
	}
	defer ours.Close()
	l := NewSteps(int(theirs.Fd()))
	l.Doing("ask in a user namespace")
	prepare(l)
	l.SyncPoint()
	pid, err := l.Fork(namespaces, nil)
	theirs.Close()
	if err != nil {
		return fmt.Errorf("make user namespace: %w", err)
	}
	defer func() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		for {
			if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
				break
			}
		}
	}()
	r, ok, err := l.ReadReport(ours)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("make user namespace: %w", syscall.EPIPE)
	case r.Failed:
		return l.Explain(r.Step, r.Errno)
	}
	return do(fmt.Sprintf("/proc/%d", pid))
}
