package spawn

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/spec"
)

// A container enters its user namespace last: the host's root makes the other namespaces and mounts in them, so they
// belong to the host's user namespace. The container's root has no power over them, whatever its capabilities. Files
// that are made for the container before that are given to its root.

// idMap is a user namespace with its maps.
type idMap struct {
	uids, gids []linux.IDMap
	file       *os.File // the user namespace
}

func (u *idMap) close() {
	if u != nil {
		u.file.Close()
	}
}

// root returns the host's ids of the container's root. They are 0 for a nil map.
func (u *idMap) root() (uid, gid uint32) { return u.outward(0, 0) }

// outward returns the host's ids of a user and a group of the container. Ids that are not mapped stay, and the kernel
// refuses them.
func (u *idMap) outward(uid, gid uint32) (outUID, outGID uint32) {
	if u == nil {
		return uid, gid
	}
	if out, ok := linux.Outward(u.uids, uid); ok {
		uid = out
	}
	if out, ok := linux.Outward(u.gids, gid); ok {
		gid = out
	}
	return uid, gid
}

// idMapOf makes the user namespace of a document, or opens the one that it names; nil if it has none.
func idMapOf(s *spec.Spec) (*idMap, error) {
	ns, ok := s.Namespace(specs.UserNamespace)
	if !ok {
		return nil, nil
	}
	u := &idMap{uids: linuxMaps(s.Linux.UIDMappings), gids: linuxMaps(s.Linux.GIDMappings)}
	var err error
	if ns.Path == "" {
		u.file, err = linux.NewUserNS(u.uids, u.gids)
		return u, err
	}
	if u.file, err = os.Open(ns.Path); err != nil {
		return nil, fmt.Errorf("join user namespace %s: %w", ns.Path, errnoOf(err))
	}
	if u.uids, u.gids, err = linux.MapsOf(u.file); err != nil {
		u.file.Close()
		return nil, fmt.Errorf("join user namespace %s: %w", ns.Path, err)
	}
	return u, nil
}

// idMapOfProcess opens the user namespace of a running container by its first process; nil if it has none.
func idMapOfProcess(s *spec.Spec, pid int) (*idMap, error) {
	if _, ok := s.Namespace(specs.UserNamespace); !ok {
		return nil, nil
	}
	file, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/user")
	if err != nil {
		return nil, errnoOf(err)
	}
	if linux.IsOwnUserNS(file) { // the first process has not entered it yet
		file.Close()
		return nil, nil
	}
	u := &idMap{file: file}
	if u.uids, u.gids, err = linux.MapsOf(file); err != nil {
		file.Close()
		return nil, err
	}
	return u, nil
}

// openIDMaps makes the user namespaces that the child needs, and returns the container's own.
func (l *Launch) openIDMaps(s *spec.Spec, b *blueprint) (own *idMap, err error) {
	if own, err = idMapOf(s); err != nil {
		return nil, err
	}
	if own != nil {
		l.idMaps = append(l.idMaps, own)
	}
	if b.mapped, err = mapMounts(s, own); err != nil {
		own.close()
		return nil, err
	}
	for _, u := range b.mapped {
		if u != nil && !slices.Contains(l.idMaps, u) {
			l.idMaps = append(l.idMaps, u)
		}
	}
	return own, nil
}

func linuxMaps(mappings []specs.LinuxIDMapping) []linux.IDMap {
	maps := make([]linux.IDMap, len(mappings))
	for i, m := range mappings {
		maps[i] = linux.IDMap{Inside: m.ContainerID, Outside: m.HostID, Size: m.Size}
	}
	return maps
}

// mapMounts makes the user namespaces of the document's idmapped mounts, and reuses one with the same maps. It returns
// one entry for each mount, mostly nil.
func mapMounts(s *spec.Spec, own *idMap) ([]*idMap, error) {
	all := make([]*idMap, len(s.Mounts))
	var made []*idMap
	for i, m := range s.Mounts {
		if len(m.UIDMappings) == 0 {
			continue
		}
		want := &idMap{uids: linuxMaps(m.UIDMappings), gids: linuxMaps(m.GIDMappings)}
		same := func(u *idMap) bool {
			return u != nil && slices.Equal(u.uids, want.uids) && slices.Equal(u.gids, want.gids)
		}
		if same(own) {
			all[i] = own
		} else if at := slices.IndexFunc(made, same); at >= 0 {
			all[i] = made[at]
		} else {
			var err error
			if want.file, err = linux.NewUserNS(want.uids, want.gids); err != nil {
				for _, u := range made {
					u.close()
				}
				return nil, fmt.Errorf("mount %s: %w", m.Destination, err)
			}
			made = append(made, want)
			all[i] = want
		}
	}
	return all, nil
}

// idMapOfMount returns the id map of a mount of the document; nil for none.
func (b *blueprint) idMapOfMount(m specs.Mount) *idMap {
	for i := range b.mapped {
		if b.spec.Mounts[i].Destination == m.Destination && b.spec.Mounts[i].Source == m.Source {
			return b.mapped[i]
		}
	}
	return nil
}

// checkMaps refuses empty ranges, and ranges beyond the largest id.
func checkMaps(where string, uids, gids []specs.LinuxIDMapping) error {
	for _, maps := range []struct {
		name  string
		lines []specs.LinuxIDMapping
	}{{"uidMappings", uids}, {"gidMappings", gids}} {
		for _, m := range maps.lines {
			last := max(uint64(m.ContainerID), uint64(m.HostID)) + uint64(m.Size)
			if m.Size == 0 || last > uint64(linux.NoID) {
				return fmt.Errorf("%s%s: containerID %d, hostID %d, size %d: want a size of at least 1 and ids from 0 to %d",
					where, maps.name, m.ContainerID, m.HostID, m.Size, linux.NoID-1)
			}
		}
	}
	return nil
}

// enterUsers enters the user namespace.
func (p *program) enterUsers(l *plan) {
	if p.users == nil {
		return
	}
	l.Doing("enter the user namespace")
	l.shell("nsenter", "--user="+p.users.file.Name())
	l.Setns(linux.FD(p.fds.users[p.users]), linux.NewUser)
}

// asRoot adds steps that make files in the container's root file system, owned by its root.
func (s *plan) asRoot(add func()) {
	uid, gid := s.users.root()
	if uid == 0 && gid == 0 {
		add()
		return
	}
	s.FSUser(uid, gid)
	add()
	s.FSUser(0, 0)
}

// ownData gives a new file system to the container's root, and maps the ids in its options to the host's.
func (b *blueprint) ownData(fstype, data string) string {
	u := b.program.users
	if u == nil || fstype != "tmpfs" && fstype != "devpts" {
		return data
	}
	uid, gid := u.root()
	words := strings.FieldsFunc(data, func(r rune) bool { return r == ',' })
	var hasUID, hasGID bool
	for i, word := range words {
		key, value, _ := strings.Cut(word, "=")
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			continue
		}
		outUID, outGID := u.outward(uint32(n), uint32(n))
		switch key {
		case "uid":
			words[i], hasUID = fmt.Sprintf("uid=%d", outUID), true
		case "gid":
			words[i], hasGID = fmt.Sprintf("gid=%d", outGID), true
		}
	}
	if fstype == "tmpfs" && !hasUID {
		words = append(words, fmt.Sprintf("uid=%d", uid))
	}
	if fstype == "tmpfs" && !hasGID {
		words = append(words, fmt.Sprintf("gid=%d", gid))
	}
	return strings.Join(words, ",")
}
