package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/weikeit/mydocker/lib/linux"
	"github.com/weikeit/mydocker/lib/state"
)

// PullOptions are the options of [Pull].
type PullOptions struct {
	Platform string // OS/ARCH[/VARIANT]; default: the host's
	Parallel int    // layers fetched at once; default: 3
}

// Status is the progress of a layer, in docker's words.
type Status string

// Statuses of a pull. Started is about the whole image, after its manifest and configuration were read.
const (
	Started     Status = "Pulling"
	Waiting     Status = "Pulling fs layer"
	Downloading Status = "Downloading"
	Unpacking   Status = "Extracting"
	Complete    Status = "Pull complete"
	Exists      Status = "Already exists"
)

// Event reports progress of a pull. Events come from several goroutines.
type Event struct {
	Status  Status
	Layer   string // first 12 digits of the blob's digest
	Index   int    // of the layer, 0 is the lowest
	Current int64  // bytes processed, of Total
	Total   int64
}

// Result is the result of a pull.
type Result struct {
	Image *Image
	New   bool // false if the store already had this image under this name
}

// pull is a running pull.
type pull struct {
	store    *Store
	src      Source
	progress func(Event)
	root     v1.Descriptor // manifest or index that the name refers to
	desc     v1.Descriptor // manifest for the platform
	manifest []byte
	config   []byte
	layers   []*layer
	record   string // path of the pullRecord

	repository string   // of a remote source
	answers    sync.Map // digest to bool: whether the source proved that it has the blob
}

// layer is a layer of a pull.
type layer struct {
	index int
	desc  v1.Descriptor
	diff  digest.Digest
	chain digest.Digest
	lower []*layer
	done  chan struct{} // closed when the store has the layer
}

// Pull fetches an image into the store, except parts that the store already has. A part gets its final name after its
// digest was checked and it was synced to the disk. The name of the image is written last.
func Pull(ctx context.Context, s *Store, src Source, opts PullOptions, progress func(Event)) (result *Result, err error) {
	id := state.NewID()
	p := &pull{store: s, src: src, progress: progress, repository: repository(src), record: filepath.Join(s.pullsDir(), id+".json")}
	doc, want, err := p.findManifest(ctx, opts.Platform)
	if err != nil {
		return nil, err
	}
	unlock, err := s.dir.LockObject(pullLock + id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	defer func() {
		os.Remove(p.record)
		if err != nil {
			s.dropConfig(doc.Config.Digest)
		}
	}()
	if err := p.register(doc.Config.Digest); err != nil {
		return nil, err
	}
	if err := p.readConfig(ctx, doc, opts.Platform, want); err != nil {
		return nil, err
	}
	if err := p.register(doc.Config.Digest); err != nil { // again, now with the layers
		return nil, err
	}
	progress(Event{Status: Started})
	if err := p.fetchLayers(ctx, opts.Parallel); err != nil {
		return nil, err
	}
	return p.commit()
}

// findManifest reads the manifest for the platform, through indexes.
func (p *pull) findManifest(ctx context.Context, platform string) (*document, v1.Platform, error) {
	want, err := parsePlatform(platform)
	if err != nil {
		return nil, want, err
	}
	p.root, p.manifest, err = p.src.Root(ctx)
	if err != nil {
		return nil, want, err
	}
	if pinned := p.src.Reference().Digest; pinned != "" && pinned != p.root.Digest {
		return nil, want, &contentError{what: "image", want: pinned, got: p.root.Digest}
	}
	if err := checkDescriptor(p.root); err != nil {
		return nil, want, err
	}
	if err := checkContent(p.root, p.manifest); err != nil {
		return nil, want, err
	}
	p.desc = p.root
	for depth := 0; ; depth++ {
		doc, err := parseDocument(p.desc, p.manifest)
		if err != nil {
			return nil, want, err
		}
		if doc.Manifests == nil {
			return doc, want, doc.check()
		}
		if depth == maxIndexDepth {
			return nil, want, fmt.Errorf("read manifest: more than %d nested indexes", maxIndexDepth)
		}
		if p.desc, err = choose(doc.Manifests, want); err != nil {
			return nil, want, err
		}
		if p.manifest, err = p.document(ctx, p.desc, p.src.Manifest); err != nil {
			return nil, want, err
		}
	}
}

// maxIndexDepth limits the nesting of indexes.
const maxIndexDepth = 4

// document returns a manifest or configuration: from the store if the source is known to have it, else from get.
func (p *pull) document(ctx context.Context, d v1.Descriptor, get func(context.Context, v1.Descriptor) ([]byte, error)) ([]byte, error) {
	if err := checkDescriptor(d); err != nil {
		return nil, err
	}
	if d.Size > maxDocument {
		return nil, fmt.Errorf("document %s: size %d exceeds %d MiB", shortID(d.Digest), d.Size, maxDocument>>20)
	}
	if p.known(d.Digest) {
		if data, err := p.store.readBlob(d.Digest); err == nil && checkContent(d, data) == nil {
			return data, nil
		}
	}
	data, err := get(ctx, d)
	if err != nil {
		return nil, err
	}
	return data, checkContent(d, data)
}

// fetchConfig returns the configuration and adds it to the store. Of concurrent pulls, only one fetches it.
func (p *pull) fetchConfig(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	unlock, err := p.store.lock(ctx, "blob-"+d.Digest.Encoded())
	if err != nil {
		return nil, err
	}
	defer unlock()
	data, err := p.document(ctx, d, func(ctx context.Context, d v1.Descriptor) ([]byte, error) {
		r, err := p.src.Blob(ctx, d, 0)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return readBounded(io.LimitReader(r, d.Size+1))
	})
	if err != nil {
		return nil, err
	}
	unlockStore, err := p.store.Lock() // a concurrent sweep would remove the temporary file
	if err != nil {
		return nil, err
	}
	defer unlockStore()
	if err := p.store.writeBlob(d.Digest, data); err != nil {
		return nil, err
	}
	p.noteSource(d.Digest)
	return data, nil
}

// readConfig reads the configuration, checks it against the manifest, and sets the manifest and the layers.
func (p *pull) readConfig(ctx context.Context, doc *document, platform string, want v1.Platform) error {
	data, err := p.fetchConfig(ctx, *doc.Config)
	if err != nil {
		return err
	}
	var config v1.Image
	if err := json.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	diffIDs := config.RootFS.DiffIDs
	if len(diffIDs) != len(doc.Layers) {
		return fmt.Errorf("configuration lists %d layers, but manifest lists %d", len(diffIDs), len(doc.Layers))
	}
	if platform != "" && !fits(want, config.Platform, false) {
		return fmt.Errorf("no image for platform %s, only %.100q", platformString(want), platformString(config.Platform))
	}
	for i, d := range diffIDs {
		if err := checkDigest(d); err != nil {
			return fmt.Errorf("read configuration: layer %d: %w", i, err)
		}
	}
	p.config = data
	if p.manifest, err = doc.toOCI(p.manifest); err != nil {
		return err
	}
	p.desc = v1.Descriptor{
		MediaType: v1.MediaTypeImageManifest,
		Digest:    digest.FromBytes(p.manifest),
		Size:      int64(len(p.manifest)),
		Platform:  &config.Platform,
	}
	for i, chain := range chainIDs(diffIDs) {
		p.layers = append(p.layers, &layer{index: i, desc: doc.Layers[i], diff: diffIDs[i], chain: chain, lower: p.layers[:i:i], done: make(chan struct{})})
	}
	return nil
}

// fetchLayers fetches the layers, several at once. They start lowest first, so that a layer that waits for a lower one
// waits for one that has started.
func (p *pull) fetchLayers(ctx context.Context, parallel int) error {
	if parallel <= 0 {
		parallel = 3
	}
	var missing []*layer
	for _, l := range p.layers {
		if p.known(l.desc.Digest) && p.store.hasLayer(l) {
			p.report(l, Exists, l.desc.Size)
			close(l.done)
			continue
		}
		p.report(l, Waiting, 0)
		missing = append(missing, l)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, l := range missing {
		group.Go(func() error {
			if err := p.fetchLayer(ctx, l); err != nil {
				return fmt.Errorf("layer %s: %w", shortID(l.desc.Digest), err)
			}
			close(l.done)
			return nil
		})
	}
	return group.Wait()
}

func (p *pull) report(l *layer, status Status, current int64) {
	p.progress(Event{Status: status, Layer: shortID(l.desc.Digest), Index: l.index, Current: current, Total: l.desc.Size})
}

// commit writes manifest and configuration and, last, the name.
func (p *pull) commit() (*Result, error) {
	// The layers must be on the disk before the index lists them.
	if err := linux.SyncFS(p.store.dir.Layers()); err != nil {
		return nil, err
	}
	unlock, err := p.store.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	for d, data := range map[digest.Digest][]byte{digest.FromBytes(p.config): p.config, p.desc.Digest: p.manifest} {
		if err := p.store.writeBlob(d, data); err != nil {
			return nil, err
		}
	}
	p.noteSource(p.desc.Digest)
	index, err := p.store.readIndex()
	if err != nil {
		return nil, err
	}
	entry := p.desc
	entry.Annotations = map[string]string{
		annotationCreated: time.Now().UTC().Format(time.RFC3339Nano),
		annotationSource:  p.root.Digest.String(),
	}
	if name := p.src.Reference().String(); name != "" {
		entry.Annotations[v1.AnnotationRefName] = name
	}
	result := &Result{New: addEntry(index, entry)}
	if result.New {
		if err := p.store.writeIndex(index); err != nil {
			return nil, err
		}
	}
	// Still locked, so that no other process removes the image before.
	arg := p.src.Reference().String()
	if arg == "" {
		arg = p.desc.Digest.String()
	}
	result.Image, err = p.store.Resolve(arg)
	return result, err
}
