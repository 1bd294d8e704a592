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

// Whatever is wrong with a source, it is asked at most so often for one layer.
const maxTries = 3

// fetchLayer brings one layer into the store, unless it or somebody else did before.
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
	there, err := p.store.readLayer(l.chain)
	unpacked := err == nil && there.DiffID == l.diff
	for try := 1; ; try++ {
		err := p.tryLayer(ctx, l, unpacked)
		var wrong *contentError
		if !errors.As(err, &wrong) || try == maxTries {
			if err == nil {
				p.report(l, Complete, l.desc.Size)
			}
			return err
		}
	}
}

// hasLayer reports whether the layer is unpacked, and known to be what its blob holds. The diff id is compared as
// well: the chain id of one layer may be claimed as the diff id of another.
func (s *Store) hasLayer(l *layer) bool {
	there, err := s.readLayer(l.chain)
	return err == nil && there.DiffID == l.diff && slices.Contains(there.Blobs, l.desc.Digest) && s.hasBlob(l)
}

// hasBlob reports whether the layer's blob is there. Its size is a sign; its digest is checked when it
// is read.
func (s *Store) hasBlob(l *layer) bool {
	info, err := os.Stat(s.blobPath(l.desc.Digest))
	return err == nil && info.Size() == l.desc.Size
}

// tryLayer fetches the blob and unpacks it meanwhile, in a directory that gets its name when all is
// right.
func (p *pull) tryLayer(ctx context.Context, l *layer, unpacked bool) error {
	if unpacked {
		return p.linkBlob(ctx, l)
	}
	tmp := filepath.Join(p.store.dir.Layers(), state.TempPrefix+l.chain.Encoded())
	root := filepath.Join(tmp, layerFS)
	if err := linux.RemoveAll(tmp); err != nil { // of a pull that was killed
		return err
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	defer linux.RemoveAll(tmp)
	if err := os.Chmod(root, 0o755); err != nil { // what the root directory is where the layer says nothing
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
	// The blob's lock is given back by now: a layer below may need it.
	if err := u.finish(func() ([]string, error) { return p.waitLower(ctx, l) }); err != nil {
		return err
	}
	return p.store.addLayer(tmp, Layer{ChainID: l.chain, DiffID: l.diff, Size: u.size, Blobs: []digest.Digest{l.desc.Digest}})
}

// linkBlob finds out whether the blob holds the layer that is unpacked already, and notes that it does.
func (p *pull) linkBlob(ctx context.Context, l *layer) error {
	diff, err := p.stream(ctx, l, nil)
	if err != nil {
		return err
	}
	if diff != l.diff {
		return wrongDiff(l, diff)
	}
	there, err := p.store.readLayer(l.chain)
	if err != nil || slices.Contains(there.Blobs, l.desc.Digest) {
		return err
	}
	there.Blobs = slices.DeleteFunc(there.Blobs, func(d digest.Digest) bool {
		_, err := os.Stat(p.store.blobPath(d))
		return err != nil
	})
	there.Blobs = append(there.Blobs, l.desc.Digest)
	return state.WriteJSON(filepath.Join(p.store.layerPath(l.chain), layerFile), there)
}

func wrongDiff(l *layer, diff digest.Digest) error {
	return fmt.Errorf("unpacked content is of %s, but the image's configuration says %s", diff, l.diff)
}

// waitLower waits for the layers below l and returns their directories.
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

// addLayer makes the unpacked layer in tmp count: all of it is on the disk before its marker is.
func (s *Store) addLayer(tmp string, l Layer) error {
	if err := linux.SyncFS(tmp); err != nil {
		return err
	}
	if err := state.WriteJSON(filepath.Join(tmp, layerFile), l); err != nil {
		return err
	}
	final := s.layerPath(l.ChainID)
	if err := linux.RemoveAll(final); err != nil { // one without a marker
		return err
	}
	return os.Rename(tmp, final)
}

// stream reads the layer's blob once, from the store or else from the source into the store, and
// hands it to u, if there is one, uncompressed. It returns the digest of the uncompressed archive.
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
	defer func() { // blob is not to be closed while it is read
		stop()
		blob.interrupt()
		<-compressed.done
	}()
	diff, unpackErr := extract(inner, compressed, l.diff.Algorithm(), u)
	if errno := syscall.Errno(0); errors.As(unpackErr, &errno) {
		return "", unpackErr // of the disk or the network
	}
	// The archive may end before its blob does. And damage shows first as a broken archive: only the
	// digest of the whole blob tells whether another try may help.
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

// extract unpacks a compressed archive, if u is not nil, and returns the digest of what it was uncompressed.
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
	// The decompressor is not to be closed while it reads.
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
	if _, err := io.Copy(io.Discard, archive); err != nil { // what pads the archive's end
		return "", err
	}
	return digester.Digest(), nil
}

// lock waits for a lock of the store, or for the end of the context.
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
