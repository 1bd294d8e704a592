package container

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/weikeit/mydocker/lib/cgroup"
	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/rootfs"
)

// Version is what `mydocker version` prints, with docker's names. There is no server: the programs are both.
type Version struct {
	Client Build
	Server Server
}

// Build says of what the program was made.
type Build struct {
	Version   string
	GitCommit string
	GoVersion string
	Os        string
	Arch      string // as Go names it: amd64
}

// Server is a Build, and what its host can do.
type Server struct {
	Build
	KernelVersion  string
	CgroupVersion  string // "1", "2", or "" where no hierarchy is mounted
	StorageDriver  string
	Seccomp        bool
	AppArmor       bool
	UserNamespaces bool
	IPv6           bool
}

// NewVersion describes the program, of a version and commit, and the host. It needs no privileges.
func NewVersion(version, commit string) Version {
	build := Build{
		Version: version, GitCommit: commit, GoVersion: runtime.Version(), Os: runtime.GOOS, Arch: runtime.GOARCH,
	}
	v := Version{Client: build, Server: Server{
		Build: build, KernelVersion: linux.KernelRelease(), StorageDriver: rootfs.DefaultDriver,
		Seccomp: linux.HasSeccomp(), AppArmor: linux.AppArmor(), UserNamespaces: linux.HasUserNS(), IPv6: linux.HasIPv6(),
	}}
	if support, err := cgroup.HostSupport(); err == nil {
		v.Server.CgroupVersion = strconv.Itoa(support.Version)
	}
	return v
}

// Info is what `mydocker info` prints, with docker's names.
type Info struct {
	Containers        int
	ContainersRunning int
	ContainersPaused  int
	ContainersStopped int // all others, those that never ran included
	Images            int
	Driver            string
	CgroupDriver      string
	CgroupVersion     string
	SecurityOptions   []string
	KernelVersion     string
	OperatingSystem   string // PRETTY_NAME of os-release(5)
	OSType            string
	Architecture      string // as uname(2) names it: x86_64
	NCPU              int
	MemTotal          uint64 // bytes
	Name              string // of the host
	DockerRootDir     string
	ServerVersion     string
	Warnings          []string
}

// Info counts containers and images, and describes the host. version is that of the program.
func (e *Engine) Info(version Version) (Info, error) {
	info := Info{
		Driver: version.Server.StorageDriver, CgroupDriver: "cgroupfs", CgroupVersion: version.Server.CgroupVersion,
		SecurityOptions: version.securityOptions(), KernelVersion: version.Server.KernelVersion,
		OperatingSystem: operatingSystem(), OSType: version.Server.Os, Architecture: linux.Machine(),
		NCPU: runtime.NumCPU(), MemTotal: cgroup.HostMemory(), DockerRootDir: e.Dir.Root, ServerVersion: version.Server.Version,
		Warnings: version.warnings(),
	}
	info.Name, _ = os.Hostname() // uname(2) does not fail
	if err := e.countContainers(&info); err != nil {
		return info, err
	}
	images, err := e.Images.List(func(err error) { e.rootfs.Warn("%v", err) })
	info.Images = len(images)
	return info, err
}

func (e *Engine) countContainers(info *Info) error {
	containers, err := e.Dir.ListAll(func(err error) { e.rootfs.Warn("%v", err) })
	if err != nil {
		return err
	}
	paused := pausedNow()
	info.Containers = len(containers)
	for _, c := range containers {
		switch {
		case !c.Running:
			info.ContainersStopped++
		case paused(c):
			info.ContainersPaused++
		default:
			info.ContainersRunning++
		}
	}
	return nil
}

// securityOptions are in docker's form.
func (v Version) securityOptions() []string {
	options := []string{}
	if v.Server.AppArmor {
		options = append(options, "name=apparmor")
	}
	if v.Server.Seccomp {
		options = append(options, "name=seccomp,profile=builtin")
	}
	return options
}

// warnings says what a user would otherwise only learn from a container that fails.
func (v Version) warnings() []string {
	warnings := []string{}
	if !linux.HasFilesystem("overlay") {
		warnings = append(warnings, "the kernel has no overlay file system: use --storage-driver vfs")
	}
	if !v.Server.Seccomp {
		warnings = append(warnings, "the kernel has no seccomp filters")
	}
	support, err := cgroup.HostSupport()
	if err != nil {
		warnings = append(warnings, err.Error())
	}
	for _, controller := range support.Missing {
		warnings = append(warnings, fmt.Sprintf("no cgroup hierarchy has the controller %s: its limits cannot be set", controller))
	}
	return warnings
}

// operatingSystem returns the host's name for itself, "Linux" where it has none.
func operatingSystem() string {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
				return strings.Trim(value, `"'`)
			}
		}
	}
	return "Linux"
}
