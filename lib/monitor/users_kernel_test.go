package monitor

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

const firstUser, firstGroup = 300000, 400000

// newUsers makes a user namespace with the maps of [box.mapped].
func newUsers() (*os.File, error) {
	return linux.NewUserNS([]linux.IDMap{{Outside: firstUser, Size: 65536}}, []linux.IDMap{{Outside: firstGroup, Size: 65536}})
}

// mapped gives the box a user namespace, and an idmapped mount of its root, as md-rootfs does.
func (b *box) mapped() {
	b.t.Helper()
	b.spec.SetNamespace(specs.UserNamespace, "")
	b.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: firstUser, Size: 65536}}
	b.spec.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: firstGroup, Size: 65536}}
	users, err := newUsers()
	must(b.t, err)
	defer users.Close()
	must(b.t, linux.AttachMapped(b.root, b.root, users))
	b.t.Cleanup(func() { must(b.t, linux.Unmount(b.root, linux.MntDetach)) })
}

const usersScript = `echo user=$(id -u):$(id -g); echo map=$(cat /proc/self/uid_map | { read a b c; echo $a $b $c; }) $(cat /proc/self/gid_map | { read a b c; echo $a $b $c; })
	grep '^Cap\|^Seccomp:' /proc/self/status | while IFS=':	' read n v rest; do echo $n=$v$rest; done
	for f in / /bin /etc /tmp /dev /dev/shm /dev/null /made /proc/self/status; do echo $f=$(stat -c %u:%g $f); done
	echo x > /etc/new && echo new=$(stat -c %u:%g /etc/new); touch /tmp/own && chown 7:8 /tmp/own; echo chown=$?
	echo x > /dev/null && echo null=works; echo x > /dev/shm/x && echo shm=works; echo x > /proc/sys/kernel/hostname; echo sysctl=$?
	mount -t tmpfs none /tmp 2>/dev/null; echo mount=$?; hostname other 2>/dev/null; echo hostname=$?; ls /sys/class/net | while read n; do echo links=$n; done`

func TestUsersOfItsOwn(t *testing.T) {
	b := newBox(t, usersScript)
	must(t, os.Chmod(filepath.Join(b.root, "tmp"), 0o1777))
	b.mapped()
	b.spec.Process.Cwd = "/made"
	got := b.run()
	have := pairs(got.out)
	const caps = "00000000a80425fb"
	for name, want := range map[string]string{
		"user": "0:0", "map": "0 300000 65536 0 400000 65536", "CapEff": caps, "CapBnd": caps, "CapAmb": "0000000000000000", "Seccomp": "2",
		"/": "0:0", "/bin": "0:0", "/tmp": "0:0", "/dev": "0:0", "/dev/shm": "0:0", "/dev/null": "0:0", "/made": "0:0", "/proc/self/status": "0:0",
		"new": "0:0", "chown": "0", "null": "works", "shm": "works", "sysctl": "1", "mount": "1", "hostname": "1", "links": "lo",
	} {
		if have[name] != want {
			t.Errorf("%s: %q, want %q", name, have[name], want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
	// On the host's disk, the owners are the same as without a user namespace.
	for file, want := range map[string]uint32{"etc/new": 0, "tmp/own": 7, "made": 0} {
		must(t, linux.Unmount(b.root, linux.MntDetach))
		info, err := os.Stat(filepath.Join(b.root, file))
		must(t, err)
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != want {
			t.Errorf("%s is %d's, want %d's", file, uid, want)
		}
		users, err := newUsers()
		must(t, err)
		must(t, linux.AttachMapped(b.root, b.root, users))
		users.Close()
	}
}

// On the host, the program has unprivileged ids, and so does a program that is executed beside it.
func TestUsersOfItsOwnFromOutside(t *testing.T) {
	for _, uid := range []uint32{0, 1000} {
		b := newBox(t, "sleep 100")
		b.mapped()
		b.spec.Process.User = specs.User{UID: uid, GID: uid}
		c := b.detached(Options{})
		info, err := os.Stat("/proc/" + strconv.Itoa(c.Run.Init.PID))
		must(t, err)
		if st := info.Sys().(*syscall.Stat_t); st.Uid != firstUser+uid || st.Gid != firstGroup+uid {
			t.Errorf("on the host it is %d:%d", st.Uid, st.Gid)
		}
		have := pairs(b.exec(c, usersScript).out)
		for name, want := range map[string]string{
			"user": strconv.Itoa(int(uid)) + ":" + strconv.Itoa(int(uid)), "map": "0 300000 65536 0 400000 65536", "CapBnd": "00000000a80425fb", "mount": "1",
		} {
			if have[name] != want {
				t.Errorf("exec: %s: %q, want %q", name, have[name], want)
			}
		}
		must(t, b.Handle(c).Signal(context.Background(), syscall.SIGKILL))
		_, err = b.Handle(c).Wait(10_000)
		must(t, err)
	}
}

// A container joins the user namespace of another, and has idmapped mounts.
func TestUsersByPathAndMappedMounts(t *testing.T) {
	first := newBox(t, "sleep 100")
	first.mapped()
	c := first.detached(Options{})
	b := newBox(t, `cat /proc/self/uid_map; stat -c %u:%g /bind /other; echo x > /bind/new; true`)
	users, err := linux.NewUserNS([]linux.IDMap{{Inside: 0, Outside: firstUser, Size: 65536}}, []linux.IDMap{{Inside: 0, Outside: firstGroup, Size: 65536}})
	must(t, err)
	must(t, linux.AttachMapped(b.root, b.root, users))
	defer func() { must(t, linux.Unmount(b.root, linux.MntDetach)) }()
	b.spec.SetNamespace(specs.UserNamespace, "/proc/"+strconv.Itoa(c.Run.Init.PID)+"/ns/user")
	bind := filepath.Join(b.top, "bind")
	must(t, os.Mkdir(bind, 0o755))
	maps := func(host uint32) []specs.LinuxIDMapping { return []specs.LinuxIDMapping{{HostID: host, Size: 65536}} }
	b.spec.Mounts = append(b.spec.Mounts,
		specs.Mount{Destination: "/bind", Type: "bind", Source: bind, Options: []string{"rbind"}, UIDMappings: maps(firstUser), GIDMappings: maps(firstGroup)},
		specs.Mount{Destination: "/other", Type: "bind", Source: bind, Options: []string{"rbind"}, UIDMappings: maps(firstUser + 5), GIDMappings: maps(firstGroup + 6)})
	got := b.run()
	if want := "0 300000 65536\n0:0\n5:6\n"; strings.Join(strings.Fields(got.out), " ") != strings.Join(strings.Fields(want), " ") {
		t.Error(got)
	}
	info, err := os.Stat(filepath.Join(bind, "new"))
	must(t, err)
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
		t.Errorf("the owner of root's file is %d", uid)
	}
	must(t, first.Handle(c).Signal(context.Background(), syscall.SIGKILL))
	_, err = first.Handle(c).Wait(10_000)
	must(t, err)
}

func TestUsersRefused(t *testing.T) {
	line := []specs.LinuxIDMapping{{HostID: 1, Size: 1}}
	for name, tt := range map[string]struct {
		change func(*spec.Spec)
		want   string
	}{
		"no maps":         {func(s *spec.Spec) { s.SetNamespace("user", "") }, "needs both"},
		"half a map":      {func(s *spec.Spec) { s.SetNamespace("user", ""); s.Linux.UIDMappings = line }, "needs both"},
		"no namespace":    {func(s *spec.Spec) { s.Linux.UIDMappings = line }, "no user namespace"},
		"a map twice":     {func(s *spec.Spec) { s.SetNamespace("user", "/proc/self/ns/user"); s.Linux.UIDMappings = line }, "has its maps already"},
		"not there":       {func(s *spec.Spec) { s.SetNamespace("user", "/nowhere/ns") }, "no such file"},
		"of another kind": {func(s *spec.Spec) { s.SetNamespace("user", "/proc/self/ns/uts") }, "invalid argument"},
		"a mount of half": {func(s *spec.Spec) { s.Mounts[1].UIDMappings = line }, "want both"},
		"a mapped tmpfs":  {func(s *spec.Spec) { s.Mounts[1].UIDMappings, s.Mounts[1].GIDMappings = line, line }, "only bind mounts"},
		"a file system that cannot": {func(s *spec.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Type: "bind", Source: "/proc", Options: []string{"bind"}, UIDMappings: line, GIDMappings: line})
		}, "its file system cannot be seen with the ids of other users"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "echo it runs")
			tt.change(b.spec)
			if got := b.run(); got.failure == nil || !strings.Contains(got.failure.Error(), tt.want) || got.out != "" {
				t.Errorf("%v, want %s", got, tt.want)
			}
		})
	}
}
