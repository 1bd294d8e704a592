package linux

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

// KernelRelease returns the release in uname(2), such as 6.1.0-13-amd64.
func KernelRelease() string {
	var names unix.Utsname
	if unix.Uname(&names) != nil { // fails only on a bad pointer
		return ""
	}
	return unix.ByteSliceToString(names.Release[:])
}

// AppArmor reports whether AppArmor is enabled (apparmor(7)).
func AppArmor() bool {
	data, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && bytes.HasPrefix(data, []byte("Y"))
}
