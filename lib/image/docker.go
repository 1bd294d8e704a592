package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// dockerList is the file that lists the images of a docker save archive.
const dockerList = "manifest.json"

// dockerEntry is an image in manifest.json of docker save.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// dockerArchive is an image in a docker save archive. The archive has no image manifest, so describe creates one.
type dockerArchive struct {
	files    *archive
	ref      Reference
	manifest []byte
	blobs    map[digest.Digest]string // files by digest
}

func openDocker(a *archive, name string) (Source, error) {
	data, err := readFile(a, dockerList)
	if err != nil {
		return nil, err
	}
	var list []dockerEntry
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("read archive: %s: %w", dockerList, err)
	}
	entry, ref, err := pickDocker(list, name)
	if err != nil {
		return nil, err
	}
	d := &dockerArchive{files: a, ref: ref, blobs: make(map[digest.Digest]string)}
	if err := d.describe(entry); err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	return d, nil
}

// pickDocker returns the image with the name, or the only image if name is empty.
func pickDocker(list []dockerEntry, name string) (dockerEntry, Reference, error) {
	var want Reference
	if name != "" {
		var err error
		if want, err = ParseReference(name); err != nil {
			return dockerEntry{}, want, err
		}
	}
	var names []string
	for _, e := range list {
		for _, tag := range e.RepoTags {
			ref, err := ParseReference(tag)
			if err == nil && (ref == want || name == "" && len(list) == 1) {
				return e, ref, nil
			}
			names = append(names, fmt.Sprintf("%.100q", tag))
		}
	}
	switch {
	case len(list) == 0:
		return dockerEntry{}, want, errors.New("archive has no image")
	case name != "":
		return dockerEntry{}, want, fmt.Errorf("archive has no image %.100q, only %s", name, strings.Join(names, ", "))
	case len(list) > 1:
		return dockerEntry{}, want, fmt.Errorf("archive has several images: choose one with FILE:NAME: %s", strings.Join(names, ", "))
	}
	return list[0], want, nil
}

// describe creates the manifest.
func (d *dockerArchive) describe(entry dockerEntry) error {
	config, err := readFile(d.files, entry.Config)
	if err != nil {
		return err
	}
	var parsed v1.Image
	if err := json.Unmarshal(config, &parsed); err != nil {
		return fmt.Errorf("%.300q: %w", entry.Config, err)
	}
	m := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageManifest,
		Config:    v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))},
		Layers:    []v1.Descriptor{},
	}
	d.blobs[m.Config.Digest] = entry.Config
	if len(entry.Layers) != len(parsed.RootFS.DiffIDs) {
		return fmt.Errorf("%.300q lists %d layers, but %s lists %d", entry.Config, len(parsed.RootFS.DiffIDs), dockerList, len(entry.Layers))
	}
	for i, name := range entry.Layers {
		layer, err := d.describeLayer(name, parsed.RootFS.DiffIDs[i])
		if err != nil {
			return err
		}
		d.blobs[layer.Digest] = name
		m.Layers = append(m.Layers, layer)
	}
	d.manifest, err = json.Marshal(m)
	return err
}

// describeLayer returns the descriptor of a layer. The digest of an uncompressed layer is its diff id, which [Pull]
// checks; only a compressed layer is read here.
func (d *dockerArchive) describeLayer(name string, diff digest.Digest) (v1.Descriptor, error) {
	layer := v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: diff}
	s, ok := d.files.find(name)
	if !ok {
		return layer, fmt.Errorf("layer %.300q: %w", name, fs.ErrNotExist)
	}
	layer.Size = s.size
	content := io.NewSectionReader(d.files.file, s.start, s.size)
	var magic [4]byte
	n, err := content.ReadAt(magic[:], 0)
	if err != nil && err != io.EOF {
		return layer, err
	}
	switch {
	case isGzip(magic[:n]):
		layer.MediaType = v1.MediaTypeImageLayerGzip
	case isZstd(magic[:n]):
		layer.MediaType = v1.MediaTypeImageLayerZstd
	default:
		return layer, nil
	}
	layer.Digest, err = digest.FromReader(content)
	return layer, err
}

// Reference implements Source.
func (d *dockerArchive) Reference() Reference { return d.ref }

// Root implements Source.
func (d *dockerArchive) Root(context.Context) (v1.Descriptor, []byte, error) {
	return v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromBytes(d.manifest), Size: int64(len(d.manifest))}, d.manifest, nil
}

// Manifest implements Source. The archive has no index.
func (d *dockerArchive) Manifest(context.Context, v1.Descriptor) ([]byte, error) {
	return slices.Clone(d.manifest), nil
}

// Blob implements Source.
func (d *dockerArchive) Blob(_ context.Context, want v1.Descriptor, offset int64) (io.ReadCloser, error) {
	name, ok := d.blobs[want.Digest]
	if !ok {
		return nil, fmt.Errorf("read archive: no blob %s", want.Digest)
	}
	return openAt(d.files, name, offset)
}

// Close implements Source.
func (d *dockerArchive) Close() error { return d.files.Close() }
