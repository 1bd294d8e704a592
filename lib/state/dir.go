// Package state is the state directory: where things lie, how they are written so that a crash
// tears nothing, and how names and addresses are claimed so that two cannot have one.
//
// State is files that a shell can read:
//
//	/var/lib/mydocker/                 MYDOCKER_ROOT moves it; it survives a reboot
//	  images/                          an OCI image layout
//	  layers/<chain id>/               unpacked layers
//	  ground/                          a layer of mount points, beneath all images
//	  names/<name>                     the id of the container that has the name
//	  containers/<id>/                 the OCI bundle: config.json, rootfs/, logs,
//	                                   and one file per tool: rootfs.json, spawn.json, …
//	  networks/<name>/                 network.json, leases/<address>
//	  volumes/<name>/
//	/run/mydocker/                     MYDOCKER_RUN moves it; gone after a reboot, as pids are
//	  <id>/                            state.json, lock
//	  netns/<id>
//	/run/mydocker-bridges.lock         of all sets of state on the host ([LockHost])
//	  locks/                           files of locks ([Dir.LockShared], [Dir.LockObject])
//
// Nothing is stored that can be derived: whether a container runs is asked of the kernel
// ([Process.Alive]), how many use an image or a network is counted.
package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// The environment variables that move the state, so that two sets can live side by side.
const (
	EnvRoot = "MYDOCKER_ROOT"
	EnvRun  = "MYDOCKER_RUN"
)

// Dir is the place of one set of state. Root survives a reboot, Run does not. Both are absolute.
type Dir struct {
	Root string
	Run  string
}

// The places of the one set that most hosts have.
const (
	usualRoot = "/var/lib/mydocker"
	usualRun  = "/run/mydocker"
)

// FromEnv returns the state directory that the environment chooses.
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

// Env returns the variables that make another tool find the same state.
func (d Dir) Env() []string {
	return []string{EnvRoot + "=" + d.Root, EnvRun + "=" + d.Run}
}

// Mark tells this set of state from others on the host, in what all have in common: "" for the usual one, else the numbers
// of its root, by whatever path that is named.
func (d Dir) Mark() string {
	if d.Root == usualRoot {
		return ""
	}
	var own, usual syscall.Stat_t
	if syscall.Stat(d.Root, &own) != nil {
		return d.Root // it is to be made yet
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

// MountPoints is the layer beneath those of every image.
func (d Dir) MountPoints() string { return filepath.Join(d.Root, "mountpoints") }

// Networks holds one directory per network, Containers one per container (its OCI bundle), Names one
// file per container name.
func (d Dir) Networks() string   { return filepath.Join(d.Root, "networks") }
func (d Dir) Containers() string { return filepath.Join(d.Root, "containers") }
func (d Dir) Names() string      { return filepath.Join(d.Root, "names") }

// Bundle is the OCI bundle of container id: config.json and what each tool keeps beside it.
func (d Dir) Bundle(id string) string { return filepath.Join(d.Containers(), id) }

// Config is the OCI document of container id as it was started.
func (d Dir) Config(id string) string { return filepath.Join(d.Bundle(id), "config.json") }

// Rootfs is where the root file system of container id is mounted.
func (d Dir) Rootfs(id string) string { return filepath.Join(d.Bundle(id), "rootfs") }

// Runtime holds what of container id does not survive a reboot: pids, sockets, locks.
func (d Dir) Runtime(id string) string { return filepath.Join(d.Run, id) }

// NetNS is where the network namespace of container id is bound.
func (d Dir) NetNS(id string) string { return filepath.Join(d.Run, "netns", id) }

// ErrNotFound is wrapped by the errors about a container, network, volume or image that is not there.
var ErrNotFound = errors.New("not found")
