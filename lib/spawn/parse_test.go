package spawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

func TestParseOptions(t *testing.T) {
	tests := []struct {
		words       string
		flags       uintptr
		clear       uintptr
		propagation []uintptr
		attr        linux.MountAttr
		data        string
	}{
		{words: ""},
		{words: "defaults"},
		{words: "ro", flags: linux.MsRdonly},
		{words: "ro rw", clear: linux.MsRdonly}, // the last word wins
		{words: "rw ro", flags: linux.MsRdonly},
		{words: "bind", flags: linux.MsBind},
		{words: "rbind nosuid nodev noexec", flags: linux.MsBind | linux.MsRec | linux.MsNosuid | linux.MsNodev | linux.MsNoexec},
		{words: "suid dev exec async atime diratime loud symfollow nolazytime nomand",
			clear: linux.MsNosuid | linux.MsNodev | linux.MsNoexec | linux.MsSynchronous | linux.MsNoatime | linux.MsNodiratime |
				linux.MsSilent | linux.MsNosymfollow | linux.MsLazytime | linux.MsMandlock},
		{words: "strictatime mode=755 size=65536k", flags: linux.MsStrictatime, data: "mode=755,size=65536k"},
		{words: "rshared private", propagation: []uintptr{linux.MsShared | linux.MsRec, linux.MsPrivate}},
		{words: "rro rnosuid", attr: linux.MountAttr{Set: linux.AttrRdonly | linux.AttrNosuid}},
		{words: "rrw", attr: linux.MountAttr{Clear: linux.AttrRdonly}},
		{words: "rnoatime", attr: linux.MountAttr{Set: linux.AttrNoatime, Clear: linux.AttrAtime}},
		{words: "lowerdir=/a:/b Ro", data: "lowerdir=/a:/b,Ro"}, // words are case-sensitive
	}
	for _, tt := range tests {
		o := parseOptions(strings.Fields(tt.words))
		if o.flags != tt.flags || o.clear != tt.clear || fmt.Sprint(o.propagation) != fmt.Sprint(tt.propagation) || o.attr != tt.attr || o.data != tt.data {
			t.Errorf("%s: %+v", tt.words, o)
		}
	}
}

func TestRootPropagation(t *testing.T) {
	for name, want := range map[string]uintptr{
		"": linux.MsRec | linux.MsSlave, "shared": linux.MsShared | linux.MsRec, "rslave": linux.MsSlave | linux.MsRec,
		"private": linux.MsPrivate | linux.MsRec, "unbindable": linux.MsUnbindable | linux.MsRec,
	} {
		if got, err := rootPropagation(name); got != want || err != nil {
			t.Errorf("%q: %#x, %v", name, got, err)
		}
	}
	for _, name := range []string{"ro", "nothing", "shared,slave", "size=1"} {
		if _, err := rootPropagation(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

// runnable returns a document that Check accepts.
func runnable() *spec.Spec {
	s := spec.New("0123456789ab")
	s.Root = &specs.Root{Path: "/r"}
	s.Process.Args = []string{"true"}
	return s
}

// TestCheckNamesWhatIsNotDone: the error names the part of the document that is not supported.
func TestCheckNamesWhatIsNotDone(t *testing.T) {
	if err := Check(runnable()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]string{
		"root.path":                  `{"root":{"path":""}}`,
		"no command":                 `{"process":{"args":[]}}`,
		"process.cwd":                `{"process":{"args":["x"],"cwd":"tmp"}}`,
		"linux.timeOffsets":          `{"linux":{"timeOffsets":{"monotonic":{"secs":1}}}}`,
		"linux.intelRdt":             `{"linux":{"intelRdt":{}}}`,
		"linux.mountLabel":           `{"linux":{"mountLabel":"x"}}`,
		"process.selinuxLabel":       `{"process":{"selinuxLabel":"x"}}`,
		"kernel.panic belongs":       `{"linux":{"sysctl":{"kernel.panic":"1"}}}`,
		"vm.swappiness belongs":      `{"linux":{"sysctl":{"vm.swappiness":"1"}}}`,
		"want a name such as net":    `{"linux":{"sysctl":{"net/../kernel/panic":"1"}}}`,
		`"net...kernel": want a nam`: `{"linux":{"sysctl":{"net...kernel":"1"}}}`,

		"process.user.uid 4294967295":            `{"process":{"user":{"uid":4294967295}}}`,
		"process.user.gid 4294967295":            `{"process":{"user":{"gid":4294967295}}}`,
		"process.user.additionalGids 4294967295": `{"process":{"user":{"additionalGids":[1,4294967295]}}}`,
		"linux.devices: /dev/x: uid and gid":     `{"linux":{"devices":[{"path":"/dev/x","type":"c","gid":4294967295}]}}`,
		"linux.uidMappings: containerID 0, hostID 4294967295": `{"linux":{"namespaces":[{"type":"user"}],
			"uidMappings":[{"hostID":4294967295,"size":1}],"gidMappings":[{"size":1}]}}`,
		"linux.gidMappings: containerID 4294967290": `{"linux":{"namespaces":[{"type":"user"}],
			"uidMappings":[{"size":1}],"gidMappings":[{"containerID":4294967290,"size":6}]}}`,
		"mounts: /m: uidMappings: containerID 0, hostID 0, size 0": `{"mounts":[{"destination":"/m","type":"bind",
			"uidMappings":[{}],"gidMappings":[{"size":1}]}]}`,
	} {
		s := runnable()
		must(t, json.Unmarshal([]byte(change), &s.Spec))
		if err := Check(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", change, err, want)
		}
	}
	for kind, key := range map[specs.LinuxNamespaceType]string{"network": "net.core.somaxconn", "ipc": "fs.mqueue.msg_max", "uts": "kernel.hostname"} {
		s := runnable()
		s.Linux.Sysctl = map[string]string{key: "1"}
		if err := Check(s); err != nil {
			t.Error(err)
		}
		s.RemoveNamespace(kind)
		if err := Check(s); err == nil || !strings.Contains(err.Error(), "no new "+string(kind)+" namespace") {
			t.Errorf("%s of the host: %v", key, err)
		}
	}
}

// TestErrorTravels: an error passes from the child to the parent, and from the monitor to its caller.
func TestErrorTravels(t *testing.T) {
	data, err := json.Marshal(AsError(fmt.Errorf("set up: %w", &Error{Text: "execute x", Errno: syscall.EACCES, Exec: true})))
	must(t, err)
	var got *Error
	must(t, json.Unmarshal(data, &got))
	if !errors.Is(got, syscall.EACCES) || !errors.Is(got, fs.ErrPermission) || got.ExitStatus() != 126 || got.Error() != "execute x" {
		t.Errorf("%+v", got)
	}
	if got := AsError(fmt.Errorf("mount: %w", syscall.ENOENT)); got.Exec || got.ExitStatus() != 125 || !errors.Is(got, syscall.ENOENT) {
		t.Errorf("%+v", got)
	}
	for errno, code := range map[syscall.Errno]int{
		syscall.ENOENT: 127, syscall.ENOTDIR: 127, syscall.EACCES: 126, syscall.EISDIR: 126, syscall.ENOEXEC: 126, syscall.ELOOP: 126, syscall.E2BIG: 126, 0: 126,
	} {
		if got := (&Error{Errno: errno, Exec: true}).ExitStatus(); got != code {
			t.Errorf("%v: %d", errno, got)
		}
		if got := (&Error{Errno: errno}).ExitStatus(); got != 125 {
			t.Errorf("%v of our own: %d", errno, got)
		}
	}
	for status, code := range map[syscall.WaitStatus]int{0: 0, 7 << 8: 7, 255 << 8: 255, 9: 137, 15: 143, 11 | 0x80: 139} {
		if got := exitCode(status); got != code {
			t.Errorf("status %#x: %d, want %d", int(status), got, code)
		}
	}
}
