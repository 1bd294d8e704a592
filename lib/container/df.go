package container

import (
	"context"
	"os"
	"path/filepath"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// DiskRow is the disk usage of one kind of object; its JSON is for programs.
type DiskRow struct {
	Kind   string `json:"type"`   // images, containers, volumes
	Count  int    `json:"total"`  // number of objects
	Active int    `json:"active"` // images and volumes that containers use, containers that run
	Size   int64  `json:"size"`   // bytes on the disk
	Free   int64  `json:"reclaimable"`
}

// DiskUse returns the disk usage of images, containers and volumes. Free is the size of the images and volumes that no
// container uses, and of the containers that do not run.
func (e *Engine) DiskUse(ctx context.Context) ([]DiskRow, error) {
	images, err := e.imageUse()
	if err != nil {
		return nil, err
	}
	boxes := DiskRow{Kind: "containers"}
	ids, err := e.Dir.IDs()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		boxes.add(e.containerSize(id), e.Dir.Extent(id) == state.Active)
	}
	volumes := DiskRow{Kind: "volumes"}
	rows, err := e.rootfs.Volumes(func(err error) { e.rootfs.Warn("%v", err) })
	for _, v := range rows {
		volumes.add(diskUse(filepath.Join(e.Dir.Volumes(), v.Name)), len(v.Containers) > 0)
	}
	return []DiskRow{images, boxes, volumes}, err
}

func (e *Engine) imageUse() (DiskRow, error) {
	row := DiskRow{Kind: "images"}
	counts, err := e.ImageCounts()
	if err != nil {
		return row, err
	}
	images, err := e.Images.List(func(err error) { e.rootfs.Warn("%v", err) })
	used := make(map[string]bool) // layers of images that a container uses
	for _, img := range images {
		row.Count++
		if counts[img.ConfigDigest.String()] > 0 {
			row.Active++
			for _, l := range img.Layers {
				used[filepath.Base(filepath.Dir(l.Dir))] = true
			}
		}
	}
	entries, _ := os.ReadDir(e.Dir.Layers()) // missing if there are no layers
	for _, entry := range entries {
		size := diskUse(filepath.Join(e.Dir.Layers(), entry.Name()))
		row.Size += size
		if !used[entry.Name()] {
			row.Free += size
		}
	}
	row.Size += diskUse(e.Dir.Images())
	return row, err
}

func (r *DiskRow) add(size int64, active bool) {
	r.Count++
	r.Size += size
	if active {
		r.Active++
	} else {
		r.Free += size
	}
}

// diskUse returns the bytes of a tree on its disk (stat(2), st_blocks), each file once. Unreadable files count as 0.
func diskUse(path string) int64 {
	var total int64
	seen := make(map[uint64]bool)
	linux.Walk(path, func(st *linux.Stat) {
		if !seen[st.Ino] {
			seen[st.Ino] = st.Nlink > 1
			total += st.Blocks * 512
		}
	})
	return total
}
