package spec

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestDefaultPosture compares the document that a pipe starts with to docker's settings.
func TestDefaultPosture(t *testing.T) {
	s := New("0123456789ab")
	if s.ID() != "0123456789ab" || s.Hostname != "0123456789ab" || s.Process.Cwd != "/" || s.Root != nil {
		t.Errorf("id %s, hostname %s, cwd %s, root %v", s.ID(), s.Hostname, s.Process.Cwd, s.Root)
	}
	want := strings.Fields("CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP " +
		"NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE")
	for i := range want {
		want[i] = "CAP_" + want[i]
	}
	caps := s.Process.Capabilities
	for name, set := range map[string][]string{"bounding": caps.Bounding, "effective": caps.Effective, "permitted": caps.Permitted} {
		if !slices.Equal(set, want) {
			t.Errorf("%s: %v", name, set)
		}
	}
	if caps.Inheritable != nil || caps.Ambient != nil || s.Process.NoNewPrivileges {
		t.Errorf("inheritable %v, ambient %v", caps.Inheritable, caps.Ambient)
	}
	expect(t, s.Linux.MaskedPaths, `["/proc/acpi","/proc/asound","/proc/interrupts","/proc/kcore","/proc/keys",`+
		`"/proc/latency_stats","/proc/sched_debug","/proc/scsi","/proc/timer_list","/proc/timer_stats",`+
		`"/sys/firmware","/sys/devices/virtual/powercap"]`)
	expect(t, s.Linux.ReadonlyPaths, `["/proc/bus","/proc/fs","/proc/irq","/proc/sys","/proc/sysrq-trigger"]`)
	for _, kind := range []specs.LinuxNamespaceType{"mount", "network", "uts", "pid", "ipc"} {
		if ns, ok := s.Namespace(kind); !ok || ns.Path != "" {
			t.Errorf("%s namespace: %v %v", kind, ns, ok)
		}
	}
}

func TestDefaultMounts(t *testing.T) {
	want := map[string]string{
		"/proc":          "proc nosuid,noexec,nodev",
		"/dev":           "tmpfs nosuid,strictatime,mode=755,size=65536k",
		"/dev/pts":       "devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
		"/dev/mqueue":    "mqueue nosuid,noexec,nodev",
		"/dev/shm":       "tmpfs nosuid,noexec,nodev,mode=1777,size=64m",
		"/sys":           "sysfs nosuid,noexec,nodev,ro",
		"/sys/fs/cgroup": "cgroup nosuid,noexec,nodev,ro",
	}
	place := make(map[string]int)
	mounts := New("0123456789ab").Mounts
	for i, m := range mounts {
		place[m.Destination] = i
		if got := m.Type + " " + strings.Join(m.Options, ","); got != want[m.Destination] {
			t.Errorf("%s: %s", m.Destination, got)
		}
	}
	if len(mounts) != len(want) || len(place) != len(want) {
		t.Errorf("%d mounts, want %d", len(mounts), len(want))
	}
	// A mount beneath another one must come after it, or it is hidden.
	for _, inner := range []string{"/dev/pts", "/dev/mqueue", "/dev/shm", "/sys/fs/cgroup"} {
		outer := inner[:4]
		if place[strings.TrimSuffix(outer, "/")] > place[inner] {
			t.Errorf("%s is mounted after %s", outer, inner)
		}
	}
}

// TestNewSharesNothing: a change to one document must not change another.
func TestNewSharesNothing(t *testing.T) {
	before, err := json.Marshal(New("0123456789ab").Linux)
	if err != nil {
		t.Fatal(err)
	}
	s := New("0123456789ab")
	s.Linux.MaskedPaths[0], s.Linux.Namespaces[0].Path = "/changed", "/changed"
	s.Process.Capabilities.Bounding[0], s.Mounts[0].Options[0] = "changed", "changed"
	expect(t, New("0123456789ab").Linux, string(before))
	if other := New("0123456789ab"); other.Process.Capabilities.Bounding[0] != "CAP_CHOWN" || other.Mounts[0].Options[0] != "nosuid" {
		t.Error("documents share their lists")
	}
}

func TestAnnotations(t *testing.T) {
	s := New("0123456789ab")
	if s.Name() != "0123456789ab" {
		t.Errorf("without a name: %s", s.Name())
	}
	s.Annotate(AnnotationName, "web")
	s.Annotate("team", "blue")
	s.Annotate("mydockerish", "no prefix of ours")
	if s.Name() != "web" {
		t.Errorf("name %s", s.Name())
	}
	expect(t, s.Labels(), `{"mydockerish":"no prefix of ours","team":"blue"}`)
	s.Annotate("team", "")
	if _, ok := s.Annotations["team"]; ok {
		t.Error("an empty value does not remove the annotation")
	}
	(&Spec{}).Annotate("a", "") // the map is nil
	for _, key := range []string{"", "mydocker.", "mydocker.id"} {
		if checkLabel(key) == nil {
			t.Errorf("label %q is accepted", key)
		}
	}
	if err := checkLabel("com.example"); err != nil {
		t.Error(err)
	}
}

func TestNamespaces(t *testing.T) {
	s := &Spec{}
	if _, ok := s.Namespace("network"); ok {
		t.Error("Namespace finds one in an empty document")
	}
	s.SetNamespace("network", "/n")
	s.SetNamespace("pid", "")
	s.SetNamespace("network", "/m")
	expect(t, s.Linux.Namespaces, `[{"type":"network","path":"/m"},{"type":"pid"}]`)
	s.RemoveNamespace("network")
	s.RemoveNamespace("network")
	expect(t, s.Linux.Namespaces, `[{"type":"pid"}]`)
}
