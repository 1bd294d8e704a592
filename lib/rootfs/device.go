package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// device is a device of the host for the container. access is a subset of rwm: read, write, mknod.
type device struct {
	node   specs.LinuxDevice
	access string
}

// parseDevice parses HOST[:CONTAINER][:rwm]. A directory stands for every device below it.
func parseDevice(word string) ([]device, error) {
	parts := strings.Split(word, ":")
	access := "rwm"
	if last := parts[len(parts)-1]; len(parts) > 1 && isAccess(last) {
		access, parts = last, parts[:len(parts)-1]
	}
	if len(parts) > 2 {
		return nil, errors.New("want HOST[:CONTAINER][:rwm]")
	}
	host, inside := parts[0], parts[len(parts)-1]
	if !path.IsAbs(host) || !path.IsAbs(inside) {
		return nil, errors.New("want absolute paths, and r, w and m as permissions")
	}
	inside, err := checkDestination(inside)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(host)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		found, err := hostDevices(host, inside, access)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("directory %s has no device", host)
		}
		return found, nil
	}
	d, err := deviceAt(host, inside, access)
	return []device{d}, err
}

func isAccess(s string) bool { return s != "" && strings.Trim(s, "rwm") == "" }

// hostDevices returns the devices below a directory. It leaves out what every container has of its own: terminals,
// shared memory and message queues.
func hostDevices(dir, inside, access string) ([]device, error) {
	var found []device
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && name == dir:
			return err
		case err != nil:
			return nil // vanished, or an unreadable mount
		case entry.IsDir() && slices.Contains([]string{"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd"}, name):
			return fs.SkipDir
		case entry.Type()&fs.ModeDevice == 0 || name == "/dev/console" || name == "/dev/ptmx":
			return nil
		}
		d, err := deviceAt(name, path.Join(inside, strings.TrimPrefix(name, dir)), access)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found = append(found, d)
		return err
	})
	return found, err
}

func deviceAt(host, inside, access string) (device, error) {
	n, err := linux.StatDevice(host)
	if err != nil {
		return device{}, err
	}
	mode := n.Mode
	return device{access: access, node: specs.LinuxDevice{
		Path: inside, Type: n.Kind, Major: n.Major, Minor: n.Minor, FileMode: &mode, UID: &n.UID, GID: &n.GID,
	}}, nil
}

// applyDevices writes the device nodes and, for md-cgroup, the access rules into the document.
func (p *posture) applyDevices(s *spec.Spec) {
	l := s.LinuxPart()
	rules := []string{}
	if old := s.Annotation(spec.AnnotationDevices); old != "" {
		rules = strings.Split(old, ",")
	}
	for _, d := range p.devices {
		there := slices.IndexFunc(l.Devices, func(other specs.LinuxDevice) bool { return other.Path == d.node.Path })
		if there >= 0 {
			l.Devices[there] = d.node
		} else {
			l.Devices = append(l.Devices, d.node)
		}
		if rule := fmt.Sprintf("%s %d:%d %s", d.node.Type, d.node.Major, d.node.Minor, d.access); !p.privileged && !slices.Contains(rules, rule) {
			rules = append(rules, rule)
		}
	}
	if p.privileged {
		rules = []string{"a"}
	}
	s.Annotate(spec.AnnotationDevices, strings.Join(rules, ","))
}
