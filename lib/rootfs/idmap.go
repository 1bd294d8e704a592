package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// idMapMode is the form of --userns.
type idMapMode int

const (
	idMapUnset idMapMode = iota // not given: the document stays unchanged
	idMapHost                   // host: no user namespace
	idMapAuto                   // auto: the state allocates the ids
	idMapRange                  // UID:GID:SIZE
)

// idMapOption is the parsed value of --userns.
type idMapOption struct {
	mode           idMapMode
	uid, gid, size uint32 // first host uid and gid of the map, and their number
}

// mapped reports whether the container gets a user namespace.
func (o idMapOption) mapped() bool { return o.mode == idMapAuto || o.mode == idMapRange }

// parseUserns parses auto, host or UID:GID:SIZE.
func parseUserns(word string) (o idMapOption, err error) {
	switch word {
	case "":
		return o, nil
	case "host":
		return idMapOption{mode: idMapHost}, nil
	case "auto":
		return idMapOption{mode: idMapAuto, size: state.IDRangeSize}, nil
	}
	parts := strings.Split(word, ":")
	var numbers [3]uint32
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || len(parts) != 3 {
			return o, fmt.Errorf("--userns %.80q: want auto, host or UID:GID:SIZE", word)
		}
		numbers[i] = uint32(n)
	}
	o = idMapOption{mode: idMapRange, uid: numbers[0], gid: numbers[1], size: numbers[2]}
	if end := uint64(max(o.uid, o.gid)) + uint64(o.size); o.size == 0 || end > 1<<32-1 {
		return o, fmt.Errorf("--userns %.80q: want a size of at least 1, and ids up to 4294967294", word)
	}
	if o.uid == 0 || o.gid == 0 {
		return o, fmt.Errorf("--userns %.80q: must not include the host's root: want host, or ids from 1", word)
	}
	return o, nil
}

// checkIDMap refuses options that have no effect with an id map: the container's root has no privileges over resources
// of the host.
func (p *posture) checkIDMap() error {
	if !p.idMap.mapped() {
		return nil
	}
	if p.privileged || p.add.all {
		return errors.New("--privileged and --cap-add ALL: no effect with --userns")
	}
	for _, name := range p.add.names {
		if name != "CAP_SYS_PTRACE" && !slices.Contains(spec.DefaultCapabilities(), name) {
			return fmt.Errorf("--cap-add %s: no effect with --userns", name)
		}
	}
	return nil
}

// hasIDMap reports whether the document creates a user namespace with an id map.
func hasIDMap(s *spec.Spec) bool {
	ns, ok := s.Namespace(specs.UserNamespace)
	return ok && ns.Path == "" && len(s.Linux.UIDMappings) > 0 && len(s.Linux.GIDMappings) > 0
}

// openUserns creates a user namespace with the container's id map, for id-mapped mounts. It returns nil if there is no
// map.
func openUserns(s *spec.Spec) (*os.File, error) {
	if !hasIDMap(s) {
		return nil, nil
	}
	return linux.NewUserNS(idMaps(s.Linux.UIDMappings), idMaps(s.Linux.GIDMappings))
}

func isMapped(mappings []specs.LinuxIDMapping, id uint32) bool {
	_, ok := linux.Outward(idMaps(mappings), id)
	return ok
}

func idMaps(mappings []specs.LinuxIDMapping) []linux.IDMap {
	maps := make([]linux.IDMap, len(mappings))
	for i, m := range mappings {
		maps[i] = linux.IDMap{Inside: m.ContainerID, Outside: m.HostID, Size: m.Size}
	}
	return maps
}

// mountFor mounts the root with the id map of userns; nil for none.
func (m *Manager) mountFor(ctx context.Context, d driver, s *spec.Spec, layers []string, userns *os.File) error {
	p := m.place(s.ID())
	if userns != nil {
		uid, _ := linux.Outward(idMaps(s.Linux.UIDMappings), 0)
		gid, _ := linux.Outward(idMaps(s.Linux.GIDMappings), 0)
		p.userns, p.rootIDs = userns, &[2]uint32{uid, gid}
	}
	err := d.mount(ctx, p, layers)
	if userns != nil && (errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EOPNOTSUPP)) {
		return &hinted{fmt.Errorf("mount root with id map: %w", err), "id maps need Linux 5.19 and a file system with id-mapped mounts, such as ext4, xfs or btrfs"}
	}
	return err
}

// mapped attaches id-mapped mounts of dirs and calls do with their paths. It detaches them afterwards: a mount that do
// creates from them keeps its own references. Without an id map, do gets dirs.
func (p place) mapped(dirs []string, do func(dirs []string) error) (err error) {
	if p.userns == nil {
		return do(dirs)
	}
	top := filepath.Join(p.bundle, "mapped")
	out := make([]string, 0, len(dirs))
	defer func() {
		for _, dir := range out {
			err = errors.Join(err, linux.Unmount(dir, linux.MntDetach|linux.UmountNofollow), os.Remove(dir))
		}
		err = errors.Join(err, os.Remove(top))
	}()
	for i, dir := range dirs {
		at := filepath.Join(top, strconv.Itoa(i))
		linux.Trace("mkdir", "-p", at)
		if err := os.MkdirAll(at, 0o700); err != nil {
			return err
		}
		if err := linux.AttachMapped(dir, at, p.userns); err != nil {
			return errors.Join(err, os.Remove(at))
		}
		out = append(out, at)
	}
	return do(out)
}
