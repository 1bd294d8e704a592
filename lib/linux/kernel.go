package linux

import (
	"bytes"
	"os"

	"golang.org/x/sys/unix"
)

// KernelRelease returns the kernel's release as uname(2) has it: 6.1.0-13-amd64.
func KernelRelease() string {
	var names unix.Utsname
	if unix.Uname(&names) != nil { // fails for bad pointers alone
		return ""
	}
	return unix.ByteSliceToString(names.Release[:])
}

// AppArmor reports whether programs can be confined by AppArmor (apparmor(7)).
func AppArmor() bool {
	data, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && bytes.HasPrefix(data, []byte("Y"))
}
