package linux

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// IDMap is a line of a user namespace's map (user_namespaces(7)): Size ids from Inside on are those from Outside
// on in the namespace that we are in.
type IDMap struct{ Inside, Outside, Size uint32 }

// Outward returns what an id of the namespace is outside, and whether it is anything.
func Outward(maps []IDMap, id uint32) (uint32, bool) {
	for _, m := range maps {
		if id >= m.Inside && id-m.Inside < m.Size {
			return m.Outside + (id - m.Inside), true
		}
	}
	return 0, false
}

// MapsOf returns the maps of a user namespace, as they are from here.
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

// IsOwnUserNS reports whether a user namespace is ours.
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

// NewUserNS returns a user namespace with these maps. It lives as long as the descriptor, and what is
// made of it. The kernel wants a process to make it by: a fork of ours, which is gone afterwards.
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
				return fmt.Errorf("map users %s: %w", strings.TrimSpace(b.String()), errnoOf(err))
			}
		}
		users, err = os.Open(filepath.Join(proc, "ns", "user"))
		return err
	})
	return users, err
}

// inChild forks into new namespaces, lets the child do what prepare lists, and calls do with its directory in /proc
// while it waits. Then the child ends.
func inChild(namespaces int, prepare func(*Steps), do func(proc string) error) error {
	ours, theirs, err := SocketPair()
	if err != nil {
		return err
	}
	defer ours.Close()
	l := NewSteps(int(theirs.Fd()))
	l.Doing("ask in a user namespace")
	prepare(l)
	l.Meet()
	pid, err := l.Fork(namespaces, nil)
	theirs.Close()
	if err != nil {
		return fmt.Errorf("make a user namespace: %w", err)
	}
	defer func() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		for {
			if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
				break
			}
		}
	}()
	r, ok, err := l.Listen(ours)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("make a user namespace: %w", syscall.EPIPE)
	case r.Failed:
		return l.Explain(r.Step, r.Errno)
	}
	return do(fmt.Sprintf("/proc/%d", pid))
}
