package linux

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// capabilityNames returns the names in capabilities(7) in the order of their numbers.
func capabilityNames() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
		"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
		"CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
		"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
		"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
		"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
	}
}

// Capabilities is a set of capabilities, one bit each.
type Capabilities uint64

// ParseCapabilities returns the set of capabilities with these names (CAP_CHOWN).
func ParseCapabilities(names []string) (Capabilities, error) {
	var set Capabilities
next:
	for _, name := range names {
		for i, known := range capabilityNames() {
			if name == known {
				set |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("unknown capability %.40q", name)
	}
	return set, nil
}

// SysAdmin is CAP_SYS_ADMIN alone.
const SysAdmin Capabilities = 1 << unix.CAP_SYS_ADMIN

// Names returns the names of the set's capabilities.
func (c Capabilities) Names() []string {
	var names []string
	for i, name := range capabilityNames() {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// boundingSet asks the kernel once: this process itself never drops a capability.
var boundingSet = sync.OnceValues(func() (known, held Capabilities) {
	for i := range 64 {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(i), 0, 0, 0)
		if err != nil {
			break
		}
		known |= 1 << i
		held |= Capabilities(has) << i
	}
	return known, held
})

// KnownCapabilities returns the capabilities that the kernel has.
func KnownCapabilities() Capabilities {
	known, _ := boundingSet()
	return known
}

// HeldCapabilities returns the bounding set of this process, the most that a child can get.
func HeldCapabilities() Capabilities {
	_, held := boundingSet()
	return held
}
