package spec

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// SysctlNamespace returns the kind of namespace of a kernel parameter, such as net.core.somaxconn. A parameter of the
// host is an error: a container would set it for all.
func SysctlNamespace(key string) (specs.LinuxNamespaceType, error) {
	switch {
	case strings.Contains(key, "..") || strings.ContainsAny(key, "/\x00"):
		return "", fmt.Errorf("%.80q: want a name such as net.core.somaxconn", key)
	case strings.HasPrefix(key, "net."):
		return specs.NetworkNamespace, nil
	case key == "kernel.domainname" || key == "kernel.hostname":
		return specs.UTSNamespace, nil
	case strings.HasPrefix(key, "kernel.msg") || strings.HasPrefix(key, "kernel.shm") || key == "kernel.sem" ||
		strings.HasPrefix(key, "fs.mqueue."):
		return specs.IPCNamespace, nil
	}
	return "", fmt.Errorf("%.80s belongs to the host, not to a namespace", key)
}
