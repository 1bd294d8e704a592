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

// Source is an image in a registry (lib/registry), a layout or an archive. It is not trusted: [Pull] checks all digests
// and sizes.
type Source interface {
	// Reference returns the name of the image; the zero Reference if it has none.
	Reference() Reference
	// Root returns the manifest or index that the name refers to.
	Root(ctx context.Context) (v1.Descriptor, []byte, error)
	// Manifest returns a manifest that an index of the source lists.
	Manifest(ctx context.Context, d v1.Descriptor) ([]byte, error)
	// Blob opens a configuration or a layer at offset. Close may be called during a Read.
	Blob(ctx context.Context, d v1.Descriptor, offset int64) (io.ReadCloser, error)
	// Close releases the resources of the source.
	Close() error
}

// Media types of docker (distribution, manifest v2 schema 2).
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerSchema1  = "application/vnd.docker.distribution.manifest.v1+"
)

// document has the fields of both manifests and indexes.
type document struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	Manifests     []v1.Descriptor `json:"manifests"`
	Config        *v1.Descriptor  `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
	FSLayers      json.RawMessage `json:"fsLayers"` // schema 1
}

// parseDocument parses a manifest or an index. It refuses a document that is both: programs that read different fields
// would see different images under the same digest (CVE-2021-41190).
func parseDocument(d v1.Descriptor, data []byte) (*document, error) {
	if strings.HasPrefix(d.MediaType, dockerSchema1) {
		return nil, errSchema1
	}
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	index, manifest := doc.Manifests != nil, doc.Config != nil || doc.Layers != nil
	switch {
	case doc.SchemaVersion == 1 || doc.FSLayers != nil:
		return nil, errSchema1
	case index && manifest:
		return nil, errors.New("parse manifest: document is both a manifest and an index")
	case !index && !manifest:
		return nil, errors.New("parse manifest: document is neither a manifest nor an index")
	case doc.MediaType != "" && isIndexType(doc.MediaType) != index,
		isIndexType(d.MediaType) && !index, isManifestType(d.MediaType) && !manifest:
		return nil, errors.New("parse manifest: content does not match media type")
	case manifest && doc.Config == nil:
		return nil, errors.New("parse manifest: no configuration")
	}
	return &doc, checkSizes(doc.Manifests, doc.Layers)
}

// checkSizes returns an error if a descriptor has a negative size. It checks all descriptors, chosen or not.
func checkSizes(lists ...[]v1.Descriptor) error {
	for _, d := range slices.Concat(lists...) {
		if d.Size < 0 {
			return fmt.Errorf("parse manifest: %.100q has size %d", d.Digest, d.Size)
		}
	}
	return nil
}

var errSchema1 = errors.New("manifest schema 1 is not supported: push the image again with a newer program")

func isIndexType(t string) bool    { return t == v1.MediaTypeImageIndex || t == dockerIndex }
func isManifestType(t string) bool { return t == v1.MediaTypeImageManifest || t == dockerManifest }

// maxLayers is the maximum number of lower directories (kernel, fs/overlayfs/params.h, OVL_MAX_STACK).
const maxLayers = 500

// check returns an error if the manifest is not that of a container image, or if it is not supported.
func (doc *document) check() error {
	if t := doc.Config.MediaType; t != v1.MediaTypeImageConfig && t != dockerConfig {
		return fmt.Errorf("not a container image: configuration has media type %.100q", t)
	}
	if len(doc.Layers) > maxLayers {
		return fmt.Errorf("image has %d layers, but overlayfs supports only %d", len(doc.Layers), maxLayers)
	}
	for i, d := range append([]v1.Descriptor{*doc.Config}, doc.Layers...) {
		if err := checkDescriptor(d); err != nil {
			return err
		}
		if i > 0 && (!strings.Contains(d.MediaType, "tar") || strings.Contains(d.MediaType, "encrypted")) {
			return fmt.Errorf("layer %s: unsupported media type %.100q", shortID(d.Digest), d.MediaType)
		}
	}
	return nil
}

// toOCI converts a docker manifest to OCI, since tools that read layouts ignore docker's. Only the media types differ.
// The index keeps the digest at the source.
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
		return fmt.Errorf("blob %s: foreign URL %.200q is not supported", shortID(d.Digest), d.URLs[0])
	}
	return nil
}

// checkContent checks data against size and digest of the descriptor.
func checkContent(d v1.Descriptor, data []byte) error {
	if err := checkDigest(d.Digest); err != nil {
		return err
	}
	if int64(len(data)) != d.Size {
		return fmt.Errorf("document %s has %d bytes, want %d (descriptor)", shortID(d.Digest), len(data), d.Size)
	}
	if got := d.Digest.Algorithm().FromBytes(data); got != d.Digest {
		return &contentError{what: "document", want: d.Digest, got: got}
	}
	return nil
}

// contentError reports content that does not match its digest. A retry may help.
type contentError struct {
	what      string
	want, got digest.Digest
}

func (e *contentError) Error() string {
	return fmt.Sprintf("%s %s: content has digest %s: the source is damaged, or the data was changed in transit", e.what, e.want, e.got)
}

// choose returns the entry of an index that fits the platform best.
func choose(entries []v1.Descriptor, want v1.Platform) (v1.Descriptor, error) {
	var have []string
	for _, exact := range []bool{true, false} {
		for _, d := range entries {
			p := d.Platform
			if p == nil {
				p = &want // an index for a single platform may omit it
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
		return v1.Descriptor{}, errors.New("image index is empty")
	}
	return v1.Descriptor{}, fmt.Errorf("no image for platform %s, only %s", platformString(want), strings.Join(have, ", "))
}
