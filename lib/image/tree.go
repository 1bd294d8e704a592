package image

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
)

// UnpackTree unpacks the archive of a whole root file system (tar, compressed by gzip or zstd or not)
// into dir, which must be empty: with the same care as a layer, and without the store.
func UnpackTree(ctx context.Context, archive io.Reader, dir string) error {
	u, err := newUnpacker(ctx, dir)
	if err != nil {
		return err
	}
	defer u.close()
	if _, err := extract(ctx, archive, digest.Canonical, u); err != nil {
		return err
	}
	return u.finish(func() ([]string, error) { return nil, nil })
}
