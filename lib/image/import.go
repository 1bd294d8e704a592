package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/interrupt"
)

// ImportOptions describe the image that an archive becomes.
type ImportOptions struct {
	Name    string   // NAME[:TAG]; empty for none
	Changes []string // lines of a Dockerfile
	Message string   // comment in its history
}

// Import stores an image with one layer, an archive of a root file system that may be compressed ([Decompress]).
func (s *Store) Import(ctx context.Context, archive io.Reader, o ImportOptions) (*Image, error) {
	src := &imported{}
	if o.Name != "" {
		ref, err := ParseReference(o.Name)
		if err != nil {
			return nil, err
		}
		if ref.Digest != "" {
			return nil, fmt.Errorf("name %.300q: want NAME[:TAG], without a digest", o.Name)
		}
		src.ref = ref
	}
	now := time.Now().UTC()
	config := v1.Image{
		Created: &now, Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH},
		History: []v1.History{{Created: &now, Comment: o.Message}},
	}
	for _, line := range o.Changes {
		if err := applyChange(&config.Config, line); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(s.dir.Images(), 0o700); err != nil {
		return nil, err
	}
	var err error
	if src.layer, err = s.unnamed(); err != nil {
		return nil, err
	}
	defer src.layer.Close()
	diff, d, err := compressLayer(ctx, src.layer, archive)
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	config.RootFS = v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{diff}}
	if err := src.describe(config, d); err != nil {
		return nil, err
	}
	result, err := Pull(ctx, s, src, PullOptions{}, func(Event) {})
	if err != nil {
		return nil, err
	}
	return result.Image, nil
}

// compressLayer writes the archive to file, compressed by gzip. It returns the digest of the uncompressed data, and the
// descriptor of the blob.
func compressLayer(ctx context.Context, file io.Writer, archive io.Reader) (diff digest.Digest, d v1.Descriptor, err error) {
	plain, err := Decompress(ctx, interrupt.Reader(archive))
	if err != nil {
		return "", d, err
	}
	defer plain.Close()
	blob, raw := digest.Canonical.Digester(), digest.Canonical.Digester()
	counted := &counter{w: io.MultiWriter(file, blob.Hash())}
	z := gzip.NewWriter(counted)
	size, err := io.Copy(io.MultiWriter(z, raw.Hash()), plain)
	if err == nil {
		err = z.Close()
	}
	if err == nil && size == 0 {
		err = errors.New("archive is empty")
	}
	return raw.Digest(), v1.Descriptor{MediaType: v1.MediaTypeImageLayerGzip, Digest: blob.Digest(), Size: counted.size}, err
}

// counter counts the bytes that are written.
type counter struct {
	w    io.Writer
	size int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.size += int64(n)
	return n, err
}

// imported is a [Source] of an image with one layer.
type imported struct {
	ref              Reference
	layer            *os.File
	config, manifest []byte
	doc              v1.Manifest
}

func (i *imported) describe(config v1.Image, layer v1.Descriptor) (err error) {
	if i.config, err = json.Marshal(config); err != nil {
		return err
	}
	i.doc = v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: digest.FromBytes(i.config), Size: int64(len(i.config))},
		Layers: []v1.Descriptor{layer},
	}
	i.manifest, err = json.Marshal(i.doc)
	return err
}

// Reference implements Source.
func (i *imported) Reference() Reference { return i.ref }

// Root implements Source.
func (i *imported) Root(context.Context) (v1.Descriptor, []byte, error) {
	d := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromBytes(i.manifest), Size: int64(len(i.manifest))}
	return d, i.manifest, nil
}

// Manifest implements Source.
func (i *imported) Manifest(context.Context, v1.Descriptor) ([]byte, error) { return i.manifest, nil }

// Blob implements Source.
func (i *imported) Blob(_ context.Context, d v1.Descriptor, offset int64) (io.ReadCloser, error) {
	if d.Digest == i.doc.Config.Digest {
		return io.NopCloser(io.NewSectionReader(bytes.NewReader(i.config), offset, int64(len(i.config))-offset)), nil
	}
	return io.NopCloser(io.NewSectionReader(i.layer, offset, d.Size-offset)), nil
}

// Close implements Source.
func (i *imported) Close() error { return nil }
