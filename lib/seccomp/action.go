package seccomp

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Return values of a filter (seccomp(2), linux/seccomp.h): an action, for some with 16 bits of data.
const (
	retKillProcess = 0x80000000
	retKillThread  = 0x00000000
	retTrap        = 0x00030000
	retErrno       = 0x00050000
	retNotify      = 0x7fc00000
	retTrace       = 0x7ff00000
	retLog         = 0x7ffc0000
	retAllow       = 0x7fff0000

	maxErrno = 4095 // MAX_ERRNO of the kernel, which replaces greater numbers by it
)

// verdict returns the filter's return value for an action of the document. Only errno and trace take an error number;
// without one it is EPERM.
func verdict(action specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	data := uint32(eperm)
	if errno != nil {
		if *errno > maxErrno && action == specs.ActErrno || *errno > 0xffff {
			return 0, fmt.Errorf("errnoRet %d: out of range", *errno)
		}
		data = uint32(*errno)
	}
	switch action {
	case specs.ActErrno:
		return retErrno | data, nil
	case specs.ActTrace:
		return retTrace | data, nil
	}
	plain := map[specs.LinuxSeccompAction]uint32{
		specs.ActKill: retKillThread, specs.ActKillThread: retKillThread, specs.ActKillProcess: retKillProcess,
		specs.ActTrap: retTrap, specs.ActAllow: retAllow, specs.ActLog: retLog, specs.ActNotify: retNotify,
	}
	ret, ok := plain[action]
	switch {
	case !ok:
		return 0, fmt.Errorf("action %.40q: no such action", action)
	case errno != nil:
		return 0, fmt.Errorf("action %s: takes no errnoRet", action)
	}
	return ret, nil
}

// permissive reports whether the call is executed. A traced call counts: the tracer decides.
func permissive(ret uint32) bool {
	action := ret & 0xffff0000
	return action == retAllow || action == retLog || action == retTrace
}
