package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// A pull must prove that its source has a blob before it may use the copy in the store. Digests, diff ids and chain ids
// are not secret: they appear in manifests, logs and listings. Without proof, a malicious image could name the layers of
// a private image and get its files, with its own program on top. The proofs are:
//
//   - A repository sent the blob before, as recorded in sources/<hex>, or returns the right piece of it at a random
//     offset. That is one small request instead of a second download.
//   - A layout or an archive contains the blob: the pull reads and hashes it.
//   - Manifests and configurations are small, so they are fetched again.
//
// In addition, a blob stands for an unpacked layer only if this store decompressed it to the layer's diff id.

// Remote is a source that is expensive to fetch from. Its reference is the requested one, never chosen by the source.
type Remote interface {
	Source
	// Peek returns n bytes of a blob at offset, without fetching the rest.
	Peek(ctx context.Context, d v1.Descriptor, offset int64, n int) ([]byte, error)
}

// peekSize is the length of the piece that a repository must return as proof.
const peekSize = 4 << 10

// repository returns the name of a remote source's repository, or "" for a local source.
func repository(src Source) string {
	if _, ok := src.(Remote); !ok {
		return ""
	}
	ref := src.Reference()
	return ref.Domain + "/" + ref.Path
}

func (s *Store) sourcesDir() string { return filepath.Join(s.dir.Images(), "sources") }

// sourcesPath requires a digest that passed [checkDigest].
func (s *Store) sourcesPath(d digest.Digest) string {
	return filepath.Join(s.sourcesDir(), d.Encoded())
}

// known reports whether the pull's repository is recorded as a source of the blob.
func (p *pull) known(d digest.Digest) bool {
	if p.repository == "" {
		return false
	}
	data, err := os.ReadFile(p.store.sourcesPath(d))
	return err == nil && strings.Contains("\n"+string(data), "\n"+p.repository+"\n")
}

// noteSource records the pull's repository as a source of the blob. If that fails, the next pull asks again.
func (p *pull) noteSource(d digest.Digest) {
	if p.repository == "" || p.known(d) {
		return
	}
	if err := os.MkdirAll(p.store.sourcesDir(), 0o700); err != nil {
		slog.Debug("record source of blob", "cause", err)
		return
	}
	if err := appendLine(p.store.sourcesPath(d), p.repository); err != nil {
		slog.Debug("record source of blob", "cause", err)
	}
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

// sourceHas reports whether the source proves that it has the layer's blob, which is in the store. It asks the source
// once per pull, even if the image has the layer several times.
func (p *pull) sourceHas(ctx context.Context, l *layer) bool {
	if has, asked := p.answers.Load(l.desc.Digest); asked {
		return has.(bool)
	}
	has := p.known(l.desc.Digest) || p.askSource(ctx, l.desc)
	p.answers.Store(l.desc.Digest, has)
	return has
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

// peek reports whether the source returns the same bytes as f at a random offset in the blob's first size bytes.
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
		slog.Debug("fetch blob again: source did not prove that it has it", "blob", d.Digest, "cause", err)
		return false
	}
	return true
}

// localSourceHas reports whether a local source has the blob. It reads and hashes all of it.
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
