package rootfs

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// Orphans returns mounts in bundles of containers that do not run, and anonymous volumes whose container is gone. Named
// volumes and volumes that a removal kept (KeepVolumes) belong to the user.
func (m *Manager) Orphans() ([]state.Orphan, error) {
	mounts, mountErr := m.orphanedMounts()
	volumes, volumeErr := m.orphanedVolumes()
	return append(mounts, volumes...), errors.Join(mountErr, volumeErr)
}

func (m *Manager) orphanedMounts() ([]state.Orphan, error) {
	points, err := mountedPaths()
	var found []state.Orphan
	for i := len(points) - 1; i >= 0; i-- { // last mounted first
		path := points[i]
		rest, ours := strings.CutPrefix(path, m.dir.Containers()+"/")
		id, _, _ := strings.Cut(rest, "/")
		if !ours || !state.IsID(id) || m.dir.Extent(id) == state.Active && path == m.dir.Rootfs(id) {
			continue
		}
		least := state.Stopped
		if m.dir.Extent(id) == state.Active { // not its root: no tool mounts anything else there
			least = state.Active
		}
		found = append(found, state.Orphan{Kind: "mount", Name: path, Reason: "container is not running", Remove: func(context.Context) error {
			return m.dir.IfAtMost(id, least, func() error {
				linux.Trace("umount", "-l", path)
				err := linux.Unmount(path, linux.MntDetach|linux.UmountNofollow)
				if errors.Is(err, fs.ErrNotExist) || !linux.IsMountPoint(path) {
					return nil
				}
				return err
			})
		}})
	}
	return found, err
}

// mountedPaths returns all mount points of this mount namespace, in mount order (proc_pid_mountinfo(5)).
func mountedPaths() ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var points []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // overlay mounts with many layers have long lines
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 {
			points = append(points, linux.UnescapeMount(fields[4]))
		}
	}
	return points, lines.Err()
}

func (m *Manager) orphanedVolumes() ([]state.Orphan, error) {
	entries, err := os.ReadDir(m.dir.Volumes())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	var found []state.Orphan
	for _, e := range entries {
		path := filepath.Join(m.dir.Volumes(), e.Name())
		orphaned := func() (reason string) {
			var info VolumeInfo
			err := state.ReadJSON(filepath.Join(path, volumeFile), &info)
			switch {
			case m.unfinished(e.Name()) && state.Settled(path):
				return "its creation was interrupted"
			case err == nil && info.Container != "" && !info.Kept && m.dir.Extent(info.Container) == state.Absent && !m.dir.Kept(info.Container):
				return "anonymous volume of removed container " + info.Container
			}
			return ""
		}
		if reason := orphaned(); reason != "" {
			found = append(found, state.Orphan{Kind: "volume", Name: path, Reason: reason, Remove: func(context.Context) error {
				if orphaned() == "" {
					return nil
				}
				linux.Trace("rm", "-rf", path)
				return linux.RemoveAll(path)
			}})
		}
	}
	return found, err
}

// emptyDir reports whether the directory is empty or missing.
func emptyDir(path string) bool {
	entries, err := os.ReadDir(path)
	return len(entries) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist))
}
