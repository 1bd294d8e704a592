package image

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
)

// UnpackTree unpacks a tar archive of a root file system, optionally compressed with gzip or zstd, into the empty
// directory dir. It applies the same checks as for layers and does not use the store.
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
