package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/opencontainers/go-digest"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// maxTries is the number of attempts to fetch a layer with the right content.
const maxTries = 3

// fetchLayer fetches and unpacks a layer, unless the store has it.
func (p *pull) fetchLayer(ctx context.Context, l *layer) error {
	unlock, err := p.store.lock(ctx, "layer-"+l.chain.Encoded())
	if err != nil {
		return err
	}
	defer unlock()
	if p.store.hasLayer(l) && p.sourceHas(ctx, l) {
		p.report(l, Exists, l.desc.Size)
		return nil
	}
	stored, err := p.store.readLayer(l.chain)
	unpacked := err == nil && stored.DiffID == l.diff
	for try := 1; ; try++ {
		err := p.tryLayer(ctx, l, unpacked)
		if err == nil {
			p.report(l, Complete, l.desc.Size)
			return nil
		}
		var wrong *contentError
		if !errors.As(err, &wrong) || try == maxTries {
			return err
		}
	}
}

// hasLayer reports whether the layer is unpacked and was unpacked from this blob. It also compares the diff id: an image
// could name the chain id of one layer as the diff id of another.
func (s *Store) hasLayer(l *layer) bool {
	stored, err := s.readLayer(l.chain)
	return err == nil && stored.DiffID == l.diff && slices.Contains(stored.Blobs, l.desc.Digest) && s.hasBlob(l)
}

// hasBlob reports whether the store has the layer's blob. It checks only the size; the digest is checked when the blob
// is read.
func (s *Store) hasBlob(l *layer) bool {
	info, err := os.Stat(s.blobPath(l.desc.Digest))
	return err == nil && info.Size() == l.desc.Size
}

// tryLayer fetches the blob and unpacks it at the same time, into a temporary directory that is renamed after all checks.
func (p *pull) tryLayer(ctx context.Context, l *layer, unpacked bool) error {
	if unpacked {
		return p.linkBlob(ctx, l)
	}
	tmp := filepath.Join(p.store.dir.Layers(), state.TempPrefix+l.chain.Encoded())
	root := filepath.Join(tmp, layerFS)
	if err := linux.RemoveAll(tmp); err != nil { // left by a killed pull
		return err
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	defer linux.RemoveAll(tmp)
	if err := os.Chmod(root, 0o755); err != nil { // default, if the layer has no entry for its root
		return err
	}
	linux.Trace("tar", "-xpf", p.store.blobPath(l.desc.Digest), "-C", root)
	u, err := newUnpacker(ctx, root)
	if err != nil {
		return err
	}
	defer u.close()
	diff, err := p.stream(ctx, l, u)
	if err != nil {
		return err
	}
	if diff != l.diff {
		return wrongDiff(l, diff)
	}
	// stream has released the blob's lock, which a lower layer may need.
	if err := u.finish(func() ([]string, error) { return p.waitLower(ctx, l) }); err != nil {
		return err
	}
	return p.store.addLayer(tmp, Layer{ChainID: l.chain, DiffID: l.diff, Size: u.size, Blobs: []digest.Digest{l.desc.Digest}})
}

// linkBlob checks that the blob contains the layer that is already unpacked, and adds the blob to layer.json.
func (p *pull) linkBlob(ctx context.Context, l *layer) error {
	diff, err := p.stream(ctx, l, nil)
	if err != nil {
		return err
	}
	if diff != l.diff {
		return wrongDiff(l, diff)
	}
	stored, err := p.store.readLayer(l.chain)
	if err != nil || slices.Contains(stored.Blobs, l.desc.Digest) {
		return err
	}
	stored.Blobs = slices.DeleteFunc(stored.Blobs, func(d digest.Digest) bool {
		_, err := os.Stat(p.store.blobPath(d))
		return err != nil
	})
	stored.Blobs = append(stored.Blobs, l.desc.Digest)
	return state.WriteJSON(filepath.Join(p.store.layerPath(l.chain), layerFile), stored)
}

func wrongDiff(l *layer, diff digest.Digest) error {
	return fmt.Errorf("unpacked layer has digest %s, want %s (image configuration)", diff, l.diff)
}

// waitLower waits until the layers below l are complete, and returns their directories.
func (p *pull) waitLower(ctx context.Context, l *layer) ([]string, error) {
	var dirs []string
	for _, below := range l.lower {
		select {
		case <-below.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		dirs = append(dirs, filepath.Join(p.store.layerPath(below.chain), layerFS))
	}
	return dirs, nil
}

// addLayer adds the unpacked layer in tmp to the store. Its files are synced to the disk before layer.json is written.
func (s *Store) addLayer(tmp string, l Layer) error {
	if err := linux.SyncFS(tmp); err != nil {
		return err
	}
	if err := state.WriteJSON(filepath.Join(tmp, layerFile), l); err != nil {
		return err
	}
	final := s.layerPath(l.ChainID)
	if err := linux.RemoveAll(final); err != nil { // a layer without layer.json
		return err
	}
	return os.Rename(tmp, final)
}

// stream reads the layer's blob once, from the store or from the source, and unpacks it with u unless u is nil. It adds
// a fetched blob to the store. It returns the digest of the uncompressed archive.
func (p *pull) stream(ctx context.Context, l *layer, u *unpacker) (digest.Digest, error) {
	unlock, err := p.store.lock(ctx, "blob-"+l.desc.Digest.Encoded())
	if err != nil {
		return "", err
	}
	defer unlock()
	blob, err := p.openBlob(ctx, l)
	if err != nil {
		return "", err
	}
	defer blob.close()
	inner, stop := context.WithCancel(ctx)
	compressed := readAhead(inner, blob, blob.take)
	defer func() { // blob must not be closed while it is read
		stop()
		blob.interrupt()
		<-compressed.done
	}()
	diff, unpackErr := extract(inner, compressed, l.diff.Algorithm(), u)
	if errno := syscall.Errno(0); errors.As(unpackErr, &errno) {
		return "", unpackErr // from the disk or the network
	}
	// The archive may end before the blob. And a damaged blob fails first as a broken archive; only the digest of the
	// whole blob shows that a retry may help.
	if _, err := io.Copy(io.Discard, compressed); err != nil {
		return "", err
	}
	if err := blob.verify(l); err != nil {
		return "", err
	}
	if unpackErr != nil {
		return "", unpackErr
	}
	if err := blob.commit(); err != nil {
		return "", err
	}
	p.answers.Store(l.desc.Digest, true)
	p.noteSource(l.desc.Digest)
	return diff, nil
}

// extract decompresses an archive and unpacks it with u unless u is nil. It returns the digest of the uncompressed
// archive.
func extract(ctx context.Context, compressed io.Reader, algorithm digest.Algorithm, u *unpacker) (digest.Digest, error) {
	plain, closer, err := decompress(compressed)
	if err != nil {
		return "", err
	}
	ctx, stop := context.WithCancel(ctx)
	digester := algorithm.Digester()
	archive := readAhead(ctx, plain, func(b []byte) error {
		digester.Hash().Write(b)
		return nil
	})
	// The decompressor must not be closed while it reads.
	defer func() {
		stop()
		<-archive.done
		closer()
	}()
	if u != nil {
		if err := u.extract(archive); err != nil {
			return "", err
		}
	}
	if _, err := io.Copy(io.Discard, archive); err != nil { // padding after the archive
		return "", err
	}
	return digester.Digest(), nil
}

// lock acquires a lock of the store. It returns early if ctx is done.
func (s *Store) lock(ctx context.Context, name string) (unlock func(), err error) {
	type result struct {
		unlock func()
		err    error
	}
	got := make(chan result, 1)
	go func() {
		unlock, err := s.dir.LockObject(name)
		got <- result{unlock, err}
	}()
	select {
	case r := <-got:
		return r.unlock, r.err
	case <-ctx.Done():
		go func() {
			if r := <-got; r.err == nil {
				r.unlock()
			}
		}()
		return nil, ctx.Err()
	}
}
