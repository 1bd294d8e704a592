package image

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Nothing of the store is given out for its name. Digests, diff ids and chain ids are no secrets: they stand in
// manifests, logs and listings. An image that only named those of a private one would get its files, with a program
// of its own on top. So what is there already counts for a pull only if its source has the same:
//
//   - A repository brought it before, which sources/<hex> notes, or shows a piece of it, at a place that it cannot
//     foresee. That is one small request where the alternative is a second download.
//   - A layout or an archive has it: it is read and hashed.
//   - Manifests and configurations are small: they are fetched again.
//
// And a blob stands for an unpacked layer only if it was uncompressed here, and gave that layer's diff id.

// Remote is a source whose blobs take time to fetch. Its reference is the one that it was asked for, never one that it
// chose.
type Remote interface {
	Source
	// Peek returns n bytes of a blob from offset on, without fetching the rest.
	Peek(ctx context.Context, d v1.Descriptor, offset int64, n int) ([]byte, error)
}

// peekSize is the length of the piece that a repository has to show.
const peekSize = 4 << 10

// repository returns the name under which a source's blobs are noted: none for those that are read again.
func repository(src Source) string {
	if _, ok := src.(Remote); !ok {
		return ""
	}
	ref := src.Reference()
	return ref.Domain + "/" + ref.Path
}

func (s *Store) sourcesDir() string { return filepath.Join(s.dir.Images(), "sources") }

// sourcesPath wants a digest that [checkDigest] has passed.
func (s *Store) sourcesPath(d digest.Digest) string {
	return filepath.Join(s.sourcesDir(), d.Encoded())
}

// known reports whether the pull's repository has brought or shown the blob before.
func (p *pull) known(d digest.Digest) bool {
	if p.repository == "" {
		return false
	}
	data, err := os.ReadFile(p.store.sourcesPath(d))
	return err == nil && strings.Contains("\n"+string(data), "\n"+p.repository+"\n")
}

// noteSource notes that the pull's repository has the blob. Without the note it is asked once more.
func (p *pull) noteSource(d digest.Digest) {
	if p.repository == "" || p.known(d) {
		return
	}
	err := os.MkdirAll(p.store.sourcesDir(), 0o700)
	if err == nil {
		err = appendLine(p.store.sourcesPath(d), p.repository)
	}
	if err != nil {
		slog.Debug("the source of a blob is not noted", "cause", err)
	}
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// sourceHas reports whether the source has the layer's blob, which is in the store. It is asked once in a pull, however often
// the image has the layer.
func (p *pull) sourceHas(ctx context.Context, l *layer) bool {
	shown, asked := p.answers.Load(l.desc.Digest)
	if !asked {
		shown = p.known(l.desc.Digest) || p.askSource(ctx, l.desc)
		p.answers.Store(l.desc.Digest, shown)
	}
	return shown.(bool)
}

func (p *pull) askSource(ctx context.Context, d v1.Descriptor) bool {
	remote, ok := p.src.(Remote)
	if !ok {
		return p.localSourceHas(ctx, d)
	}
	f, err := os.Open(p.store.blobPath(d.Digest))
	if err != nil {
		return false
	}
	defer f.Close()
	if !peek(ctx, remote, d, f, d.Size) {
		return false
	}
	p.noteSource(d.Digest)
	return true
}

// peek reports whether the source shows a piece of the blob's first size bytes as it is in f.
func peek(ctx context.Context, src Remote, d v1.Descriptor, f io.ReaderAt, size int64) bool {
	n := min(size, peekSize)
	if n == 0 {
		return true
	}
	offset := rand.Int64N(size - n + 1)
	want := make([]byte, n)
	if _, err := f.ReadAt(want, offset); err != nil {
		return false
	}
	got, err := src.Peek(ctx, d, offset, int(n))
	if err != nil || !bytes.Equal(got, want) {
		slog.Debug("a blob is fetched again: its source does not show that it has it", "blob", d.Digest, "cause", err)
		return false
	}
	return true
}

// localSourceHas reports whether a source on this machine has the blob, by reading all of it.
func (p *pull) localSourceHas(ctx context.Context, d v1.Descriptor) bool {
	r, err := p.src.Blob(ctx, d, 0)
	if err != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer r.Close()
	defer stop()
	verifier := d.Digest.Verifier()
	n, err := io.Copy(verifier, io.LimitReader(r, d.Size+1))
	return err == nil && n == d.Size && verifier.Verified()
}
