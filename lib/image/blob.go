package image

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/opencontainers/go-digest"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// blob is a layer's blob on its way. What has come of it when the source fails, or the process dies, stays
// under its temporary name, and the next pull of a repository that has the same goes on from there. That part is read and hashed again with the
// rest, so nobody has to know what a crash left of it.
type blob struct {
	in     io.Reader // the part that is there, then the rest
	rest   io.Closer // the source's; nil: none is needed
	file   *os.File  // where it is kept until it is verified; with stored, where it is
	stored bool      // it is in the store, whole
	path   string
	hash   hash.Hash
	size   int64 // that has been taken
	kept   int64 // that was there before
	limit  int64
	broken bool // what has come of it is of no use
	report func(size int64)
}

// openBlob opens the layer's blob in the store, or else at the source.
func (p *pull) openBlob(ctx context.Context, l *layer) (*blob, error) {
	path := p.store.blobPath(l.desc.Digest)
	b := &blob{path: path, hash: l.desc.Digest.Algorithm().Hash(), limit: l.desc.Size}
	var err error
	if p.store.hasBlob(l) && p.sourceHas(ctx, l) {
		b.report = func(size int64) { p.report(l, Unpacking, size) }
		b.stored = true
		b.file, err = os.Open(path)
		b.in = b.file
		return b, err
	}
	b.report = func(size int64) { p.report(l, Downloading, size) }
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if b.file, err = os.OpenFile(b.temp(), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err := b.openRest(ctx, p.src, l); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// openRest opens at the source what is not there yet.
func (b *blob) openRest(ctx context.Context, src Source, l *layer) error {
	info, err := b.file.Stat()
	if err != nil {
		return err
	}
	b.kept = info.Size()
	// What is there came of a pull of whatever image named the blob.
	remote, ok := src.(Remote)
	if b.kept > b.limit || b.kept > 0 && !(ok && peek(ctx, remote, l.desc, b.file, b.kept)) {
		b.kept = 0
		if err := b.file.Truncate(0); err != nil {
			return err
		}
	}
	b.in = io.NewSectionReader(b.file, 0, b.kept)
	if b.kept == b.limit && b.kept > 0 {
		return nil
	}
	rest, err := src.Blob(ctx, l.desc, b.kept)
	if err != nil {
		return err
	}
	b.rest, b.in = rest, io.MultiReader(b.in, rest)
	return nil
}

func (b *blob) temp() string {
	return filepath.Join(filepath.Dir(b.path), state.TempPrefix+filepath.Base(b.path))
}

// pieceSize is how much a slow source may bring until it is taken: what has not been is lost with the process.
const pieceSize = 64 << 10

// Fill implements filler.
func (b *blob) Fill(buf []byte) ([]byte, error) {
	var n int
	var err error
	for n < pieceSize && err == nil {
		var m int
		m, err = b.in.Read(buf[n:])
		n += m
	}
	return buf[:n], err
}

// take is given all of the blob piece by piece.
func (b *blob) take(data []byte) error {
	if b.size+int64(len(data)) > b.limit {
		b.broken = true
		return fmt.Errorf("it is longer than the %d bytes that the manifest says", b.limit)
	}
	b.hash.Write(data)
	fresh := data[min(max(b.kept-b.size, 0), int64(len(data))):]
	if !b.stored && len(fresh) > 0 {
		if err := linux.WriteUncached(b.file, fresh, b.size+int64(len(data)-len(fresh))); err != nil {
			b.broken = errors.Is(err, syscall.ENOSPC) // somebody needs the place
			return err
		}
	}
	b.size += int64(len(data))
	b.report(b.size)
	return nil
}

// verify returns an error where the blob is not what it should be. One in the store is taken away, so
// that another try asks the source.
func (b *blob) verify(l *layer) error {
	got := digest.NewDigest(l.desc.Digest.Algorithm(), b.hash)
	b.broken = true
	switch {
	case got != l.desc.Digest:
		if b.stored {
			os.Remove(b.path)
		}
		return &contentError{what: "blob", want: l.desc.Digest, got: got}
	case b.size != b.limit:
		return fmt.Errorf("it has %d bytes, the manifest says %d", b.size, b.limit)
	}
	return nil
}

// commit makes the blob count: all of it is on the disk before it has its name.
func (b *blob) commit() error {
	if b.stored {
		return nil
	}
	if err := b.file.Sync(); err != nil {
		return err
	}
	return os.Rename(b.temp(), b.path)
}

// interrupt ends a read of the source that is waiting.
func (b *blob) interrupt() {
	if b.rest != nil {
		b.rest.Close()
	}
}

func (b *blob) close() {
	b.interrupt()
	b.file.Close()
	if !b.stored && (b.broken || b.size == 0 && b.kept == 0) {
		os.Remove(b.temp()) // gone if it counts
	}
}
