// Package state is the state directory: its paths, its crash-safe writes, its locks, and the claims on names and
// addresses.
//
// State is files that a shell can read:
//
//	/var/lib/mydocker/                 MYDOCKER_ROOT moves it; survives a reboot
//	images/                          OCI image layout
//	layers/<chain id>/               unpacked layers
//	ground/                          layer of mount points beneath all images
//	names/<name>                     id of the container that has the name
//	containers/<id>/                 OCI bundle: config.json, rootfs/, logs,
//	and one file per tool: rootfs.json, spawn.json, …
//	networks/<name>/                 network.json, leases/<address>
//	volumes/<name>/
//	users/<first id>                 id of the container that has the range of user ids
//	/run/mydocker/                     MYDOCKER_RUN moves it; gone after a reboot, like pids
//	<id>/                            state.json (the run file), lock
//	netns/<id>                       network namespaces
//	locks/                           lock files ([Dir.LockShared], [Dir.LockObject])
//	/run/mydocker-bridges.lock         shared by all state directories of the host ([LockHost])
//
// What can be derived is not stored: the kernel tells whether a container runs ([Process.Alive]), and the users of an
// image or a network are counted.
package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// The environment variables that move the state, so that a host can have several state directories.
const (
	EnvRoot = "MYDOCKER_ROOT"
	EnvRun  = "MYDOCKER_RUN"
)

// Dir is a state directory. Root survives a reboot, Run does not. Both are absolute paths.
type Dir struct {
	Root string
	Run  string
}

// The default paths.
const (
	usualRoot = "/var/lib/mydocker"
	usualRun  = "/run/mydocker"
)

// FromEnv returns the state directory that the environment selects.
func FromEnv() (Dir, error) {
	d := Dir{Root: usualRoot, Run: usualRun}
	for name, field := range map[string]*string{EnvRoot: &d.Root, EnvRun: &d.Run} {
		v := os.Getenv(name)
		if v == "" {
			continue
		}
		if !filepath.IsAbs(v) {
			return Dir{}, fmt.Errorf("%s=%s: not an absolute path", name, v)
		}
		*field = filepath.Clean(v)
	}
	return d, nil
}

// Env returns the variables that select this state directory in another tool.
func (d Dir) Env() []string {
	return []string{EnvRoot + "=" + d.Root, EnvRun + "=" + d.Run}
}

// Mark identifies this state directory in names on the host that all state directories share: "" for the default one,
// otherwise device and inode of its root, whatever path leads there.
func (d Dir) Mark() string {
	if d.Root == usualRoot {
		return ""
	}
	var own, usual syscall.Stat_t
	if syscall.Stat(d.Root, &own) != nil {
		return d.Root // not made yet
	}
	if syscall.Stat(usualRoot, &usual) == nil && own.Dev == usual.Dev && own.Ino == usual.Ino {
		return ""
	}
	return fmt.Sprintf("%x:%x", own.Dev, own.Ino)
}

// Images is the OCI image layout, Layers the unpacked layers by chain id, Volumes the named volumes.
func (d Dir) Images() string  { return filepath.Join(d.Root, "images") }
func (d Dir) Layers() string  { return filepath.Join(d.Root, "layers") }
func (d Dir) Volumes() string { return filepath.Join(d.Root, "volumes") }

// MountPoints is the layer of mount points beneath those of every image. Its name on the disk is that of older releases,
// whose containers may be running on it.
func (d Dir) MountPoints() string { return filepath.Join(d.Root, "ground") }

// Networks has one directory per network, Containers one per container (its OCI bundle), Names one file per container
// name.
func (d Dir) Networks() string   { return filepath.Join(d.Root, "networks") }
func (d Dir) Containers() string { return filepath.Join(d.Root, "containers") }
func (d Dir) Names() string      { return filepath.Join(d.Root, "names") }

// Bundle is the OCI bundle of container id: config.json and the records of each tool.
func (d Dir) Bundle(id string) string { return filepath.Join(d.Containers(), id) }

// Config is the OCI document of container id as it was started.
func (d Dir) Config(id string) string { return filepath.Join(d.Bundle(id), "config.json") }

// Rootfs is the mount point of the root file system of container id.
func (d Dir) Rootfs(id string) string { return filepath.Join(d.Bundle(id), "rootfs") }

// Runtime is the directory of what container id loses at a reboot: pids, sockets, locks.
func (d Dir) Runtime(id string) string { return filepath.Join(d.Run, id) }

// NetNS is the path where the network namespace of container id is bound.
func (d Dir) NetNS(id string) string { return filepath.Join(d.Run, "netns", id) }

// ErrNotFound is wrapped by errors about a container, network, volume or image that does not exist.
var ErrNotFound = errors.New("not found")
