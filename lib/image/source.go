package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Source is where an image comes from: a repository of a registry (lib/registry), a layout, an
// archive. Nothing that it returns is believed: [Pull] checks digests and sizes.
type Source interface {
	// Reference names the image in the store; the zero Reference where the source has no name for it.
	Reference() Reference
	// Root returns the manifest or index that the name stands for.
	Root(ctx context.Context) (v1.Descriptor, []byte, error)
	// Manifest returns a manifest that an index of the source names.
	Manifest(ctx context.Context, d v1.Descriptor) ([]byte, error)
	// Blob opens a configuration or a layer from that byte on. It is read to the end, or closed before,
	// even while somebody reads it.
	Blob(ctx context.Context, d v1.Descriptor, offset int64) (io.ReadCloser, error)
	// Close gives back what the source holds.
	Close() error
}

// The media types of docker, which OCI's grew from (distribution, manifest v2 schema 2).
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerSchema1  = "application/vnd.docker.distribution.manifest.v1+"
)

// document is what a manifest and an index may hold, read once to tell which it is.
type document struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	Manifests     []v1.Descriptor `json:"manifests"`
	Config        *v1.Descriptor  `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
	FSLayers      json.RawMessage `json:"fsLayers"` // schema 1
}

// parseDocument reads a manifest or an index. One document cannot be both: programs that look at
// different fields would see different images under one digest (CVE-2021-41190).
func parseDocument(d v1.Descriptor, data []byte) (*document, error) {
	if strings.HasPrefix(d.MediaType, dockerSchema1) {
		return nil, errSchema1
	}
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	index, manifest := doc.Manifests != nil, doc.Config != nil || doc.Layers != nil
	switch {
	case doc.SchemaVersion == 1 || doc.FSLayers != nil:
		return nil, errSchema1
	case index && manifest:
		return nil, errors.New("manifest: it is an index as well: refused")
	case !index && !manifest:
		return nil, errors.New("manifest: neither an image's nor an index")
	case doc.MediaType != "" && isIndexType(doc.MediaType) != index,
		isIndexType(d.MediaType) && !index, isManifestType(d.MediaType) && !manifest:
		return nil, errors.New("manifest: its content is not of its media type")
	case manifest && doc.Config == nil:
		return nil, errors.New("manifest: no configuration")
	}
	return &doc, checkSizes(doc.Manifests, doc.Layers)
}

// checkSizes returns an error where a list says of content that it is less than nothing, chosen or not.
func checkSizes(lists ...[]v1.Descriptor) error {
	for _, d := range slices.Concat(lists...) {
		if d.Size < 0 {
			return fmt.Errorf("manifest: %.100q has size %d", d.Digest, d.Size)
		}
	}
	return nil
}

var errSchema1 = errors.New("manifest: schema 1 was given up by docker in 2024: push the image again with a newer program")

func isIndexType(t string) bool    { return t == v1.MediaTypeImageIndex || t == dockerIndex }
func isManifestType(t string) bool { return t == v1.MediaTypeImageManifest || t == dockerManifest }

// maxLayers is how many lower directories overlayfs takes (OVL_MAX_STACK of the kernel's fs/overlayfs/params.h).
const maxLayers = 500

// check returns an error where the manifest is none of a container image, or asks for what is refused.
func (doc *document) check() error {
	if t := doc.Config.MediaType; t != v1.MediaTypeImageConfig && t != dockerConfig {
		return fmt.Errorf("not an image for containers: its configuration is of type %.100q", t)
	}
	if len(doc.Layers) > maxLayers {
		return fmt.Errorf("it has %d layers: no kernel stacks more than %d", len(doc.Layers), maxLayers)
	}
	for i, d := range append([]v1.Descriptor{*doc.Config}, doc.Layers...) {
		if err := checkDescriptor(d); err != nil {
			return err
		}
		if i > 0 && (!strings.Contains(d.MediaType, "tar") || strings.Contains(d.MediaType, "encrypted")) {
			return fmt.Errorf("layer %s: media type %.100q is not understood", shortID(d.Digest), d.MediaType)
		}
	}
	return nil
}

// toOCI returns the manifest as OCI has it: docker's is the same but for the media types, and programs
// that read layouts pass over it. What the name stood for at the source is noted in the index.
func (doc *document) toOCI(data []byte) ([]byte, error) {
	if doc.Config.MediaType == v1.MediaTypeImageConfig {
		return data, nil
	}
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: *doc.Config, Layers: []v1.Descriptor{}}
	m.Config.MediaType = v1.MediaTypeImageConfig
	for _, l := range doc.Layers {
		switch {
		case strings.HasSuffix(l.MediaType, "gzip"):
			l.MediaType = v1.MediaTypeImageLayerGzip
		case strings.HasSuffix(l.MediaType, "zstd"):
			l.MediaType = v1.MediaTypeImageLayerZstd
		default:
			l.MediaType = v1.MediaTypeImageLayer
		}
		m.Layers = append(m.Layers, l)
	}
	return json.Marshal(m)
}

func checkDescriptor(d v1.Descriptor) error {
	if err := checkDigest(d.Digest); err != nil {
		return err
	}
	if d.Size < 0 {
		return fmt.Errorf("blob %s: size %d", shortID(d.Digest), d.Size)
	}
	if len(d.URLs) > 0 {
		return fmt.Errorf("blob %s: it is kept at a foreign address (%.200q), which is not followed", shortID(d.Digest), d.URLs[0])
	}
	return nil
}

// checkContent returns an error where data is not what the descriptor names.
func checkContent(d v1.Descriptor, data []byte) error {
	if err := checkDigest(d.Digest); err != nil {
		return err
	}
	if int64(len(data)) != d.Size {
		return fmt.Errorf("document %s: it has %d bytes, its descriptor says %d", shortID(d.Digest), len(data), d.Size)
	}
	if got := d.Digest.Algorithm().FromBytes(data); got != d.Digest {
		return &contentError{what: "document", want: d.Digest, got: got}
	}
	return nil
}

// contentError says that a source gave something else than its name says. Another try may help.
type contentError struct {
	what      string
	want, got digest.Digest
}

func (e *contentError) Error() string {
	return fmt.Sprintf("%s %s: the content is of %s: the source is damaged, or somebody changed it on the way", e.what, e.want, e.got)
}

// choose returns the entry of an index that fits the platform best.
func choose(entries []v1.Descriptor, want v1.Platform) (v1.Descriptor, error) {
	var have []string
	for _, exact := range []bool{true, false} {
		for _, d := range entries {
			p := d.Platform
			if p == nil {
				p = &want // as in a layout of one image for one platform
			}
			if fits(want, *p, exact) {
				return d, nil
			}
			name := fmt.Sprintf("%.100s", platformString(*p))
			if !slices.Contains(have, name) && p.OS != "unknown" {
				have = append(have, name)
			}
		}
	}
	if len(have) == 0 {
		return v1.Descriptor{}, errors.New("the index is empty")
	}
	return v1.Descriptor{}, fmt.Errorf("no image for platform %s: there are %s", platformString(want), strings.Join(have, ", "))
}
