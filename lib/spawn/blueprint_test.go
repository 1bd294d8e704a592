package spawn

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/seccomp"
	"github.com/weikeit/mydocker/lib/spec"
)

var update = flag.Bool("update", false, "write the golden files anew")

// plainBlueprint returns the blueprint of the default document, on a host that does not vary.
func plainBlueprint() *blueprint {
	s := spec.New("4f2322145e66")
	s.Root = &specs.Root{Path: "/bundle/rootfs"}
	s.Process.Args, s.Process.Env = []string{"sh", "-c", "true"}, []string{"PATH=/usr/bin:/bin"}
	fds := descriptors{stdio: [3]int{10, 11, 12}, socket: 8, spare: 7, reaper: -1, pidfd: -1, root: -1, start: -1}
	return &blueprint{
		spec: &s.Spec, bundle: "/bundle", root: "/bundle/rootfs",
		program: program{process: s.Process, die: true, files: [2]uint64{1024, 4096}, held: 1<<41 - 1, fds: fds},
		isDir:   func(path string) (bool, error) { return !strings.HasPrefix(filepath.Base(path), "file"), nil },
	}
}

// TestList compares the plans of some containers with the files in testdata. "go test -run TestList -update" rewrites
// the files.
func TestList(t *testing.T) {
	for name, change := range map[string]func(*blueprint){
		"default": func(*blueprint) {},
		"binds": func(b *blueprint) {
			b.spec.Mounts = []specs.Mount{
				{Destination: "/data/dir", Type: "bind", Source: "/srv", Options: []string{"rbind", "ro", "nosuid", "rslave"}},
				{Destination: "/etc/hosts", Type: "bind", Source: "file", Options: []string{"bind", "noatime", "rw"}},
				{Destination: "/all", Type: "bind", Source: "/srv", Options: []string{"rbind", "rro"}},
			}
			b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = nil, nil
		},
		"everything": func(b *blueprint) {
			score := 100
			p := b.spec.Process
			p.Terminal, p.Cwd, p.OOMScoreAdj, p.NoNewPrivileges = true, "/work", &score, true
			p.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{10}}
			p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}}
			b.spec.Mounts = []specs.Mount{
				{Destination: "/proc", Type: "proc", Source: "proc"}, {Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"rshared", "size=1m"}},
				{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid"}}, {Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue"},
			}
			b.spec.Hostname, b.spec.Root.Readonly = "inside", true
			b.spec.Linux.Sysctl = map[string]string{"net.core.somaxconn": "7"}
			b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: "network", Path: "/run/ns"}, {Type: "cgroup"}, {Type: "mount"}}
			b.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/net/tun", Type: "c", Major: 10, Minor: 200, UID: new(uint32)}}
			b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = []string{"/proc/kcore"}, []string{"/proc/sys"}
			b.spec.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{}}, StartContainer: []specs.Hook{{}}}
			b.cgroups = []cgroupMount{{"/sys/fs/cgroup/cpu/x", "cpu"}, {"/sys/fs/cgroup/pids/x", "pids"}}
			b.procsFiles = []string{"/sys/fs/cgroup/cpu/x/tasks"}
			b.hasRuntimeHooks, b.program.fds.reaper = true, 9
			b.program.filter = &seccomp.Filter{Program: make([]linux.BPFInstruction, 7), Flags: linux.SeccompLog}
		},
		"filter": func(b *blueprint) {
			b.spec.Mounts, b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = nil, nil, nil
			b.spec.Process.User.UID = 1000
			b.program.filter = &seccomp.Filter{Program: make([]linux.BPFInstruction, 7)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := plainBlueprint()
			change(b)
			l, err := b.compile()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, l.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".calls")
	if *update {
		must(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if got != string(want) {
		t.Errorf("the plan differs from %s:\n%s", file, got)
	}
}

// TestListsThatCannotBe: an error in the document is found before a process is forked.
func TestListsThatCannotBe(t *testing.T) {
	for text, change := range map[string]func(*blueprint){
		"mount x: the destination is not absolute": func(b *blueprint) { b.spec.Mounts = []specs.Mount{{Destination: "x", Type: "tmpfs"}} },
		"mount /: the destination is the root":     func(b *blueprint) { b.spec.Mounts = []specs.Mount{{Destination: "/", Type: "tmpfs"}} },
		"mount /x: source /gone: no such file or directory": func(b *blueprint) {
			b.spec.Mounts = []specs.Mount{{Destination: "/x", Type: "bind", Source: "/gone"}}
			b.isDir = func(path string) (bool, error) {
				return false, &os.PathError{Op: "stat", Path: path, Err: syscall.ENOENT}
			}
		},
		"invalid id 4294967295":            func(b *blueprint) { b.program.process.User.UID = 1<<32 - 1 },
		"contains a NUL byte":              func(b *blueprint) { b.spec.Hostname = "a\x00b" },
		"execute sh: \"a\\x00b\" contains": func(b *blueprint) { b.spec.Process.Args[2] = "a\x00b" },
		"want c, u, b or p":                func(b *blueprint) { b.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "?"}} },
		"RLIMIT_NOTHING":                   func(b *blueprint) { b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOTHING"}} },
		"5000 bytes of options": func(b *blueprint) {
			b.spec.Mounts = []specs.Mount{{Destination: "/x", Type: "tmpfs", Options: []string{strings.Repeat("x", 5000)}}}
		},
	} {
		b := plainBlueprint()
		change(b)
		if _, err := b.compile(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
