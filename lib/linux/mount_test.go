package linux

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

func TestMountCommand(t *testing.T) {
	tests := []struct {
		source, fstype string
		flags          uintptr
		data, want     string
	}{
		{"overlay", "overlay", 0, "lowerdir=/a:/b", "mount -t overlay -o lowerdir=/a:/b overlay /t"},
		{"tmpfs", "tmpfs", MsNosuid | MsNodev, "size=1m", "mount -t tmpfs -o nosuid,nodev,size=1m tmpfs /t"},
		{"proc", "proc", 0, "", "mount -t proc proc /t"},
		{"/s", "", MsBind, "", "mount --bind /s /t"},
		{"/s", "", MsBind | MsRec, "", "mount --rbind /s /t"},
		{"", "", MsRemount | MsBind | MsRdonly, "", "mount -o remount,bind,ro /t"},
		{"", "", MsSlave | MsRec, "", "mount --make-rslave /t"},
		{"", "", MsPrivate, "", "mount --make-private /t"},
		{"none", "aufs", MsRemount, "append:/b=ro+wh", "mount -o remount,append:/b=ro+wh /t"},
	}
	for _, tt := range tests {
		if got := Quote(MountCommand(tt.source, "/t", tt.fstype, tt.flags, tt.data)...); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// TestMountRefusesLongOptions: the kernel would silently cut them off.
func TestMountRefusesLongOptions(t *testing.T) {
	err := Mount("none", "/nowhere", "tmpfs", 0, strings.Repeat("x", pageSize))
	if !errors.Is(err, syscall.E2BIG) || len(err.Error()) > 400 {
		t.Errorf("got %v", err)
	}
}

func TestMountErrorsShowCommand(t *testing.T) {
	err := Mount("none", "/nowhere/at all", "tmpfs", MsRdonly, "")
	if err == nil || !strings.HasPrefix(err.Error(), "mount -t tmpfs -o ro none '/nowhere/at all': ") {
		t.Errorf("got %v", err)
	}
	if err := Unmount("/nowhere", MntDetach); err == nil || !strings.HasPrefix(err.Error(), "umount -l /nowhere: ") {
		t.Errorf("got %v", err)
	}
}
