package image

import (
	"context"
	"encoding/json"
	"errors"
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

// PullOptions say what of a source is wanted.
type PullOptions struct {
	Platform string // OS/ARCH[/VARIANT]; empty: the host's
	Parallel int    // layers at once; 0: three
}

// Status is how far a layer has come, in docker's words.
type Status string

// The stations of a pull. Started is of the whole image, and comes once there is something to pull.
const (
	Started     Status = "Pulling"
	Waiting     Status = "Pulling fs layer"
	Downloading Status = "Downloading"
	Unpacking   Status = "Extracting"
	Complete    Status = "Pull complete"
	Exists      Status = "Already exists"
)

// Event is one piece of news of a pull. Events come from several goroutines.
type Event struct {
	Status  Status
	Layer   string // the first 12 digits of its blob's digest
	Index   int    // of the layer, 0 the lowest
	Current int64  // bytes that have come, of Total
	Total   int64
}

// Result is what a pull did.
type Result struct {
	Image *Image
	New   bool // something changed; else the store had all of it under this name
}

// pull is one pull at work.
type pull struct {
	store    *Store
	src      Source
	progress func(Event)
	root     v1.Descriptor // what the name stands for
	desc     v1.Descriptor // the manifest for the platform
	manifest []byte
	config   []byte
	layers   []*layer
	record   string // the file that says what it needs

	repository string   // the source's, if it is remote
	answers    sync.Map // digest to bool: whether the source showed that it has the blob
}

// layer is one layer of a pull.
type layer struct {
	index int
	desc  v1.Descriptor
	diff  digest.Digest
	chain digest.Digest
	lower []*layer
	done  chan struct{} // closed when it is in the store
}

// Pull brings an image into the store. What is there already is not fetched again. Nothing counts as
// there before its digest was checked and it is on the disk, and no name before all of its image is.
func Pull(ctx context.Context, s *Store, src Source, opts PullOptions, progress func(Event)) (result *Result, err error) {
	id := state.NewID()
	p := &pull{store: s, src: src, progress: progress, repository: repository(src), record: filepath.Join(s.pullsDir(), id+".json")}
	doc, want, err := p.findManifest(ctx, opts.Platform)
	if err != nil {
		return nil, err
	}
	ended, err := s.dir.LockObject(pullLock + id)
	if err != nil {
		return nil, err
	}
	defer ended()
	defer func() {
		os.Remove(p.record)
		if err != nil {
			s.dropUnneeded(doc.Config.Digest)
		}
	}()
	if err := p.register(doc.Config.Digest); err != nil {
		return nil, err
	}
	if err := p.readConfig(ctx, doc, opts.Platform, want); err != nil {
		return nil, err
	}
	if err := p.register(doc.Config.Digest); err != nil { // again: now its layers are known
		return nil, err
	}
	progress(Event{Status: Started})
	if err := p.fetchLayers(ctx, opts.Parallel); err != nil {
		return nil, err
	}
	return p.commit()
}

// findManifest reads the manifest for the platform.
func (p *pull) findManifest(ctx context.Context, platform string) (*document, v1.Platform, error) {
	want, err := ParsePlatform(platform)
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
	doc, err := parseDocument(p.desc, p.manifest)
	for depth := 0; err == nil && doc.Manifests != nil; depth++ {
		if depth == 4 {
			return nil, want, errors.New("indexes within indexes, more than four deep")
		}
		if p.desc, err = choose(doc.Manifests, want); err != nil {
			return nil, want, err
		}
		if p.manifest, err = p.document(ctx, p.desc, p.src.Manifest); err != nil {
			return nil, want, err
		}
		doc, err = parseDocument(p.desc, p.manifest)
	}
	if err == nil {
		err = doc.check()
	}
	return doc, want, err
}

// document returns a small blob, from the store where it has it and the source is known to.
func (p *pull) document(ctx context.Context, d v1.Descriptor, get func(context.Context, v1.Descriptor) ([]byte, error)) ([]byte, error) {
	if err := checkDescriptor(d); err != nil {
		return nil, err
	}
	if d.Size > maxDocument {
		return nil, fmt.Errorf("document %s: size %d, more than %d MiB", shortID(d.Digest), d.Size, maxDocument>>20)
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

// fetchConfig returns the configuration, which is in the store then: of many pulls at once, one fetches it.
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
	free, err := p.store.Lock() // a sweep takes away files with names like those in writing
	if err != nil {
		return nil, err
	}
	defer free()
	if err := p.store.writeBlob(d.Digest, data); err != nil {
		return nil, err
	}
	p.noteSource(d.Digest)
	return data, nil
}

func (p *pull) readConfig(ctx context.Context, doc *document, platform string, want v1.Platform) error {
	data, err := p.fetchConfig(ctx, *doc.Config)
	if err != nil {
		return err
	}
	var config v1.Image
	if err := json.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	diffIDs := config.RootFS.DiffIDs
	if len(diffIDs) != len(doc.Layers) {
		return fmt.Errorf("configuration: it speaks of %d layers, the manifest of %d", len(diffIDs), len(doc.Layers))
	}
	if platform != "" && !fits(want, config.Platform, false) {
		return fmt.Errorf("no image for platform %s: there is only %.100q", platformString(want), platformString(config.Platform))
	}
	for i, d := range diffIDs {
		if err := checkDigest(d); err != nil {
			return fmt.Errorf("configuration: layer %d: %w", i, err)
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

// fetchLayers brings the layers into the store, several at once. They start in their order, so that
// whoever waits for a lower one waits for one that has started.
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

// commit writes the small blobs and, last, the name.
func (p *pull) commit() (*Result, error) {
	// The layers must be on the disk before the index says that they are.
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
	// With the lock: nobody removes it before the caller knows of it.
	arg := p.src.Reference().String()
	if arg == "" {
		arg = p.desc.Digest.String()
	}
	result.Image, err = p.store.Resolve(arg)
	return result, err
}
