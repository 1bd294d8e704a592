package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/seccomp"
	"github.com/weikeit/mydocker/lib/spec"
)

// postured returns a new document with the options applied.
func postured(t *testing.T, o Security) *spec.Spec {
	t.Helper()
	p, err := parseSecurity(o)
	if err != nil {
		t.Fatal(err)
	}
	s := spec.New("0123456789ab")
	s.Linux.Seccomp = seccomp.Default(s.Process.Capabilities.Bounding)
	if err := p.apply(s); err != nil {
		t.Fatal(err)
	}
	p.applyDevices(s)
	return s
}

func TestCapabilityOptions(t *testing.T) {
	usual, held := spec.DefaultCapabilities(), linux.HeldCapabilities().Names()
	if len(held) < len(usual) {
		t.Skip("this process has too few capabilities")
	}
	without := func(caps []string, names ...string) []string {
		return slices.DeleteFunc(slices.Clone(caps), func(c string) bool { return slices.Contains(names, c) })
	}
	for _, tt := range []struct {
		name string
		o    Security
		want []string
	}{
		{"none", Security{}, usual},
		{"add", Security{CapAdd: []string{"net_admin", "CAP_CHOWN"}}, append(slices.Clone(usual), "CAP_NET_ADMIN")},
		{"drop", Security{CapDrop: []string{"MKNOD", "cap_kill"}}, without(usual, "CAP_MKNOD", "CAP_KILL")},
		{"only", Security{CapDrop: []string{"all"}, CapAdd: []string{"CHOWN"}}, []string{"CAP_CHOWN"}},
		{"nothing", Security{CapDrop: []string{"ALL"}}, []string{}},
		{"all but", Security{CapAdd: []string{"ALL"}, CapDrop: []string{"MKNOD"}}, without(held, "CAP_MKNOD")},
		{"added after all", Security{CapAdd: []string{"MKNOD"}, CapDrop: []string{"MKNOD"}}, append(without(usual, "CAP_MKNOD"), "CAP_MKNOD")},
		{"privileged", Security{Privileged: true, CapDrop: []string{"ALL"}}, held},
	} {
		t.Run(tt.name, func(t *testing.T) {
			caps := postured(t, tt.o).Process.Capabilities
			for _, set := range [][]string{caps.Bounding, caps.Effective, caps.Permitted} {
				if !slices.Equal(set, tt.want) {
					t.Errorf("%v, want %v", set, tt.want)
				}
			}
			if caps.Inheritable != nil || caps.Ambient != nil {
				t.Errorf("inheritable %v, ambient %v", caps.Inheritable, caps.Ambient)
			}
		})
	}
}

func TestSecurityOptions(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(profile, []byte(`{"defaultAction": "SCMP_ACT_ALLOW"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := postured(t, Security{}); s.Process.NoNewPrivileges || len(s.Linux.MaskedPaths) == 0 || s.Linux.Seccomp.DefaultAction != specs.ActErrno {
		t.Error("the default posture changed without an option")
	}
	if s := postured(t, Security{SecurityOpt: []string{"no-new-privileges", "systempaths=unconfined", "apparmor=unconfined", "label:disable"}}); !s.Process.NoNewPrivileges ||
		s.Linux.MaskedPaths != nil || s.Linux.ReadonlyPaths != nil {
		t.Errorf("no-new-privileges %v, masked %v", s.Process.NoNewPrivileges, s.Linux.MaskedPaths)
	}
	if s := postured(t, Security{SecurityOpt: []string{"no-new-privileges:true", "no-new-privileges=false"}}); s.Process.NoNewPrivileges {
		t.Error("no-new-privileges=false")
	}
	if s := postured(t, Security{SecurityOpt: []string{"seccomp=" + profile}}); s.Linux.Seccomp.DefaultAction != specs.ActAllow {
		t.Errorf("seccomp of a file: %v", s.Linux.Seccomp)
	}
	for _, o := range []Security{{SecurityOpt: []string{"seccomp:unconfined"}}, {Privileged: true}} {
		if s := postured(t, o); s.Linux.Seccomp != nil {
			t.Errorf("%v: there is a filter", o)
		}
	}
	if s := postured(t, Security{Privileged: true, SecurityOpt: []string{"seccomp=builtin"}}); s.Linux.Seccomp == nil {
		t.Error("seccomp=builtin: there is no filter")
	}
}

// TestSeccompFollowsCapabilities checks that the default profile depends on the capabilities.
func TestSeccompFollowsCapabilities(t *testing.T) {
	if !slices.Contains(linux.HeldCapabilities().Names(), "CAP_SYS_ADMIN") {
		t.Skip("this process does not have CAP_SYS_ADMIN")
	}
	allows := func(s *spec.Spec, call string) bool {
		return slices.ContainsFunc(s.Linux.Seccomp.Syscalls, func(c specs.LinuxSyscall) bool {
			return c.Action == specs.ActAllow && slices.Contains(c.Names, call)
		})
	}
	if allows(postured(t, Security{}), "mount") || !allows(postured(t, Security{CapAdd: []string{"SYS_ADMIN"}}), "mount") {
		t.Error("mount must depend on CAP_SYS_ADMIN")
	}
	if allows(postured(t, Security{CapDrop: []string{"SYS_CHROOT"}}), "chroot") || !allows(postured(t, Security{}), "chroot") {
		t.Error("chroot must depend on CAP_SYS_CHROOT")
	}
}

func TestPrivileged(t *testing.T) {
	s := postured(t, Security{Privileged: true})
	for _, m := range s.Mounts {
		if slices.Contains(m.Options, "ro") {
			t.Errorf("%s is read-only", m.Destination)
		}
	}
	paths := make(map[string]bool)
	for _, d := range s.Linux.Devices {
		paths[d.Path] = true
	}
	if !paths["/dev/null"] || paths["/dev/console"] || paths["/dev/ptmx"] || s.Annotation(spec.AnnotationDevices) != "a" {
		t.Errorf("devices %v, %q", paths, s.Annotation(spec.AnnotationDevices))
	}
}

func TestDeviceOptions(t *testing.T) {
	s := postured(t, Security{Device: []string{"/dev/null:/dev/nil:r", "/dev/zero", "/dev/full:rw", "/dev/null:/dev/nil:r"}})
	var got []string
	for _, d := range s.Linux.Devices {
		got = append(got, fmt.Sprintf("%s %s %d:%d %o", d.Path, d.Type, d.Major, d.Minor, d.FileMode.Perm()))
	}
	if want := "/dev/nil c 1:3 666, /dev/zero c 1:5 666, /dev/full c 1:7 666"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if got, want := s.Annotation(spec.AnnotationDevices), "c 1:3 r,c 1:5 rwm,c 1:7 rw"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestParseUserns(t *testing.T) {
	for _, tt := range []struct {
		word string
		want idMapOption
	}{
		{"", idMapOption{}}, {"host", idMapOption{mode: idMapHost}}, {"auto", idMapOption{mode: idMapAuto, size: 65536}},
		{"100000:200000:65536", idMapOption{idMapRange, 100000, 200000, 65536}},
		{"1:1:4294967293", idMapOption{idMapRange, 1, 1, 4294967293}},
	} {
		if got, err := parseUserns(tt.word); err != nil || got != tt.want {
			t.Errorf("%q: %+v %v", tt.word, got, err)
		}
	}
	for _, bad := range []string{"keep-id", "1:2", "1:2:0", "0:0:65536", "5:0:1", "-1:1:1", "1:1:4294967296", "1:1:4294967295", "4294967295:1:1", "1:1:1:1", "a:b:c", " auto"} {
		if got, err := parseUserns(bad); err == nil || !strings.Contains(err.Error(), "--userns") {
			t.Errorf("%q: %+v %v", bad, got, err)
		}
	}
}

func TestSecurityRefused(t *testing.T) {
	for _, tt := range []struct {
		o    Security
		want string
	}{
		{Security{Userns: "auto", Privileged: true}, "no effect with --userns"},
		{Security{Userns: "1:1:1", CapAdd: []string{"SYS_ADMIN"}}, "--cap-add CAP_SYS_ADMIN: no effect"},
		{Security{CapAdd: []string{"NET_ADMINX"}}, `--cap-add: "NET_ADMINX": no such capability`},
		{Security{CapDrop: []string{""}}, `--cap-drop: "": no such capability`},
		{Security{SecurityOpt: []string{"secomp=x"}}, "want seccomp=FILE"},
		{Security{SecurityOpt: []string{"seccomp"}}, "want a file"},
		{Security{SecurityOpt: []string{"seccomp=/nonsuch"}}, "no such file"},
		{Security{SecurityOpt: []string{"no-new-privileges=maybe"}}, "want true or false"},
		{Security{SecurityOpt: []string{"systempaths=all"}}, "want systempaths=unconfined"},
		{Security{SecurityOpt: []string{"apparmor="}}, "want a profile"},
		{Security{SecurityOpt: []string{"label=type:x"}}, "SELinux labels are not supported"},
		{Security{Device: []string{"dev/null"}}, "want absolute paths"},
		{Security{Device: []string{"/dev/null:/x:/y:r"}}, "want HOST"},
		{Security{Device: []string{"/dev/null:/dev/x:q"}}, "want HOST"},
		{Security{Device: []string{"/dev/nonsuch"}}, "no such file"},
		{Security{Device: []string{"/etc/passwd"}}, "is not a device"},
		{Security{Device: []string{"/etc"}}, "has no device"},
		{Security{Device: []string{"/dev/null:/"}}, "must not be /"},
		{Security{Device: []string{"/dev/null:/proc/null"}}, "must not be in /proc"},
		{Security{Sysctl: []string{"net.core.somaxconn"}}, "want KEY=VALUE"},
		{Security{Sysctl: []string{"kernel.core_pattern=|/x"}}, "belongs to the host"},
		{Security{Sysctl: []string{"net/../kernel/core_pattern=x"}}, "want a name"},
		{Security{Sysctl: []string{"net...kernel=x"}}, "want a name"},
		{Security{Sysctl: []string{"vm.swappiness=1"}}, "belongs to the host"},
	} {
		if _, err := parseSecurity(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.o, err, tt.want)
		}
	}
}
