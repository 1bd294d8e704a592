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

// blob is the blob of a layer during a pull. If the source fails or the process dies, the received part stays under its
// temporary name. The next pull from a repository with the same blob resumes it; it reads and hashes the kept part
// again, so a crash cannot leave undetected damage.
type blob struct {
	in     io.Reader // the kept part, then the rest
	rest   io.Closer // of the source; nil if nothing is left to fetch
	file   *os.File  // temporary file, or the blob in the store
	stored bool      // the blob is complete in the store
	path   string
	hash   hash.Hash
	size   int64 // bytes hashed so far
	kept   int64 // bytes that an earlier pull received
	limit  int64 // size in the manifest
	broken bool  // the temporary file is useless
	report func(size int64)
}

// openBlob opens the blob of a layer in the store or, if it is not there, at the source.
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

// openRest opens the missing part at the source.
func (b *blob) openRest(ctx context.Context, src Source, l *layer) error {
	info, err := b.file.Stat()
	if err != nil {
		return err
	}
	b.kept = info.Size()
	// The kept part may come from another image and another source (proof.go).
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

// pieceSize is the number of bytes after which received data is written. A crash loses less than that.
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

// take hashes a piece of the blob, and writes it unless it was kept.
func (b *blob) take(data []byte) error {
	if b.size+int64(len(data)) > b.limit {
		b.broken = true
		return fmt.Errorf("blob is longer than %d bytes, its size in the manifest", b.limit)
	}
	b.hash.Write(data)
	fresh := data[min(max(b.kept-b.size, 0), int64(len(data))):]
	if !b.stored && len(fresh) > 0 {
		if err := linux.WriteUncached(b.file, fresh, b.size+int64(len(data)-len(fresh))); err != nil {
			b.broken = errors.Is(err, syscall.ENOSPC) // free the space
			return err
		}
	}
	b.size += int64(len(data))
	b.report(b.size)
	return nil
}

// verify checks digest and size of the complete blob. It removes a damaged blob from the store, so that a retry fetches
// it.
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
		return fmt.Errorf("blob has %d bytes, want %d (manifest)", b.size, b.limit)
	}
	return nil
}

// commit renames the blob to its final name, after it is synced to the disk.
func (b *blob) commit() error {
	if b.stored {
		return nil
	}
	if err := b.file.Sync(); err != nil {
		return err
	}
	return os.Rename(b.temp(), b.path)
}

// interrupt unblocks a read of the source.
func (b *blob) interrupt() {
	if b.rest != nil {
		b.rest.Close()
	}
}

func (b *blob) close() {
	b.interrupt()
	b.file.Close()
	if !b.stored && (b.broken || b.size == 0 && b.kept == 0) {
		os.Remove(b.temp()) // after commit, it no longer exists
	}
}
