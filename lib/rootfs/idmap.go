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

// idMapOption is what --userns says: nothing, the host's users, or others.
type idMapOption struct {
	given, own, auto bool
	uid, gid, size   uint32 // the first of the host's that the container's are, and how many
}

// parseUserns reads auto, host or UID:GID:SIZE.
func parseUserns(word string) (o idMapOption, err error) {
	switch word {
	case "":
		return o, nil
	case "host":
		return idMapOption{given: true}, nil
	case "auto":
		return idMapOption{given: true, own: true, auto: true, size: state.IDRangeSize}, nil
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
	o = idMapOption{given: true, own: true, uid: numbers[0], gid: numbers[1], size: numbers[2]}
	if end := uint64(max(o.uid, o.gid)) + uint64(o.size); o.size == 0 || end > 1<<32-1 {
		return o, fmt.Errorf("--userns %.80q: want a size from 1, and ids up to 4294967294", word)
	}
	if o.uid == 0 || o.gid == 0 {
		return o, fmt.Errorf("--userns %.80q: root of the host would be one of them: want host, or ids from 1", word)
	}
	return o, nil
}

// checkIDMap refuses options that would do nothing: what a container with users of its own is in, is the host's, and
// its root has no power over it.
func (p *posture) checkIDMap() error {
	if !p.idMap.own {
		return nil
	}
	if p.privileged || p.add.all {
		return errors.New("--privileged and --cap-add ALL: give no power to a container with --userns")
	}
	for _, name := range p.add.names {
		if name != "CAP_SYS_PTRACE" && !slices.Contains(spec.DefaultCapabilities(), name) {
			return fmt.Errorf("--cap-add %s: gives no power to a container with --userns", name)
		}
	}
	return nil
}

// applyIDMap writes the users of the document.
func (c *container) applyIDMap(s *spec.Spec) error {
	o := c.posture.idMap
	if !o.given {
		return nil
	}
	l := s.LinuxPart()
	if !o.own {
		s.RemoveNamespace(specs.UserNamespace)
		l.UIDMappings, l.GIDMappings = nil, nil
		return nil
	}
	if o.auto {
		first, err := c.dir.ClaimIDRange(c.id)
		if err != nil {
			return err
		}
		o.uid, o.gid = first, first
	}
	s.SetNamespace(specs.UserNamespace, "")
	l.UIDMappings = []specs.LinuxIDMapping{{HostID: o.uid, Size: o.size}}
	l.GIDMappings = []specs.LinuxIDMapping{{HostID: o.gid, Size: o.size}}
	return nil
}

// hasIDMap reports whether the container has users of its own whose numbers the document says.
func hasIDMap(s *spec.Spec) bool {
	ns, ok := s.Namespace(specs.UserNamespace)
	return ok && ns.Path == "" && len(s.Linux.UIDMappings) > 0 && len(s.Linux.GIDMappings) > 0
}

// openUserns makes the user namespace by which the container sees its files; nil where it has the host's.
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

// mapIDs shows the container its files as its users': until here they were made ready as the host's. The root is
// mounted once more, and what is bound into it says so in the document.
func (c *container) mapIDs(ctx context.Context, s *spec.Spec) error {
	users, err := openUserns(s)
	if err != nil || users == nil {
		return err
	}
	defer users.Close()
	if uid := s.Process.User.UID; !isMapped(s.Linux.UIDMappings, uid) {
		return fmt.Errorf("user %d: is none of the container's users", uid)
	}
	for _, gid := range append([]uint32{s.Process.User.GID}, s.Process.User.AdditionalGids...) {
		if !isMapped(s.Linux.GIDMappings, gid) {
			return fmt.Errorf("group %d: is none of the container's groups", gid)
		}
	}
	for i := range s.Mounts {
		m := &s.Mounts[i]
		if m.Type != "bind" || len(m.UIDMappings) > 0 {
			continue
		}
		if err := linux.CanMap(m.Source, users); err != nil {
			c.Warn("%s: on its file system nothing can belong to the container's users: %v", m.Source, err)
			continue
		}
		m.UIDMappings, m.GIDMappings = s.Linux.UIDMappings, s.Linux.GIDMappings
	}
	if err := c.unmountRoot(c.id); err != nil {
		return err
	}
	return c.mountFor(ctx, c.driver, s, c.record.Layers, users)
}

// mountFor mounts the root as these users see it; nil for the host's.
func (m *Manager) mountFor(ctx context.Context, d driver, s *spec.Spec, layers []string, users *os.File) error {
	p := m.place(s.ID())
	if users != nil {
		uid, _ := linux.Outward(idMaps(s.Linux.UIDMappings), 0)
		gid, _ := linux.Outward(idMaps(s.Linux.GIDMappings), 0)
		p.userns, p.rootIDs = users, &[2]uint32{uid, gid}
	}
	err := d.mount(ctx, p, layers)
	if users != nil && (errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EOPNOTSUPP)) {
		return &hinted{fmt.Errorf("mount the root for users of the container's own: %w", err), "it takes Linux 5.19, and a file system that can be seen with other ids, such as ext4, xfs or btrfs"}
	}
	return err
}

// mapped attaches directories as the place's users see them, for a mount that is made of them, and takes them away
// again when do has made it: what it has is its own. Without users they are what they are.
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
