package spawn

import (
	"maps"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/seccomp"
)

// Features returns the supported features of the specification (runtime-spec, features.md).
func Features() features.Features {
	yes, no := true, false
	namespaces := []string{string(specs.UserNamespace)}
	for kind := range namespaceFlags() {
		namespaces = append(namespaces, string(kind))
	}
	slices.Sort(namespaces)
	options := slices.Concat(slices.Collect(maps.Keys(mountFlags())), slices.Collect(maps.Keys(recursiveAttributes())))
	slices.Sort(options)
	return features.Features{
		OCIVersionMin: "1.0.0", OCIVersionMax: specs.Version,
		Hooks:        []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"},
		MountOptions: options,
		Linux: &features.Linux{
			Namespaces:      namespaces,
			Capabilities:    linux.Capabilities(^uint64(0)).Names(),
			Cgroup:          &features.Cgroup{V1: &yes, V2: &yes, Systemd: &no, SystemdUser: &no, Rdma: &yes},
			Seccomp:         seccomp.Features(),
			Apparmor:        &features.Apparmor{Enabled: &yes},
			Selinux:         &features.Selinux{Enabled: &no},
			IntelRdt:        &features.IntelRdt{Enabled: &no},
			MemoryPolicy:    &features.MemoryPolicy{Modes: names(memoryModes()), Flags: names(memoryFlags())},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
			NetDevices:      &features.NetDevices{Enabled: &no},
		},
	}
}

// names returns the sorted keys of a table.
func names[K ~string, V any](table map[K]V) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		list = append(list, string(name))
	}
	return list
}
