// Package image is the store of images, and what fills it but for registries (lib/registry does
// those, so that the programs that only read the store link no HTTP).
//
// The store is two directories of the state. images/ is an OCI image layout (image-spec,
// image-layout.md), which skopeo and others read as it is:
//
//	index.json                   one entry per name; org.opencontainers.image.ref.name holds the
//	                             familiar name (mysql:5.7.25). An entry without it lost its name to
//	                             a newer image.
//	blobs/sha256/<hex>           manifests, configurations and layers, byte for byte as their source
//	                             has them
//	sources/<hex>                the repositories that have the blob, a name a line: see proof.go
//	blobs/sha256/.tmp-<hex>      what has come of a layer: it stays when its pull breaks off, or is killed,
//	                             and the next pull of the image goes on from there
//
// layers/ holds the layers unpacked, each once however many images share it, under its chain id
// (image-spec, config.md "Layer ChainID"):
//
//	layers/<chain id>/fs         a lower directory of overlayfs: a removed file is a character device
//	                             0:0, a directory that hides those below has trusted.overlay.opaque=y
//	layers/<chain id>/layer.json written last: where it is, the layer is whole and on the disk
//	layers/.tmp-<chain id>       being unpacked
//
// Who changes what under which lock (flock, in the state's run directory):
//
//	images          index.json, pulls/, and every removal
//	layer-<chain>   layers/<chain> and its temporary directory, while it is fetched
//	blob-<digest>   a layer's blob or a configuration, while it is fetched
//	index, removal  the same, as notes that a command was about these when it was killed (settle.go)
//	pulls/<id>.json which blobs and layers a running pull needs, before the index says so
//
// Where the time of a pull goes: processor seconds for the test bed's mysql, 108 MB of gzip that are 460 MB in 8,000
// files, and what was done about it. On two cores and a file system in memory that takes 1.1 s, where curl |
// gzip -dc | tar x takes 2.4 and gzip -dc alone 2.0.
//
//	inflate                  1.4   klauspost/compress (compress/gzip: 2.0); on a core of its own, stream.go
//	diff id                  0.35  SHA-256 by the processor's instructions, beside it; no second pass
//	files                    0.45  half of it copies into the page cache; parents are kept open, five calls a file
//	blob                     0.15  hashed as it comes (regclient's own pass is left out), and kept out of the cache
//	network                  0.1   in pieces of 64 KiB and more
//	sync at the end          0.04  on ext4; 0.25 before large files were sent to the disk while the next are unpacked
//
// A removal keeps what the index, a container or a pull whose process lives needs, and nothing else,
// so it also takes away what a killed pull left.
package image

import (
	_ "crypto/sha256" // go-digest finds the algorithms by registration
	_ "crypto/sha512"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

// The annotations of an index entry that are ours.
const (
	annotationCreated = "mydocker.created" // time of the pull, RFC 3339
	annotationSource  = "mydocker.digest"  // what the name stood for at its source: often that of an index
)

// Store is the image store of one state directory. It holds nothing but paths: any number of
// processes may use the same store.
type Store struct {
	dir state.Dir
}

// Open returns the store in the state directory. It makes nothing.
func Open(dir state.Dir) *Store { return &Store{dir: dir} }

// Image is one image of the store.
type Image struct {
	ID           string        // the first 12 hexadecimal digits of ConfigDigest
	ConfigDigest digest.Digest // what docker calls the image id
	Digest       digest.Digest // what the name stood for at its source: of an index, or of the manifest
	References   []Reference   // its names, in the order of the index; none: newer images took them all
	Manifest     v1.Descriptor
	Config       v1.Image
	Layers       []Layer // lowest first
	Created      time.Time
	Size         int64 // bytes of the unpacked layers
}

// Layer is one unpacked layer.
type Layer struct {
	ChainID digest.Digest `json:"chainID"` // names the layer together with all below it
	DiffID  digest.Digest `json:"diffID"`  // of the uncompressed archive
	Size    int64         `json:"size"`    // bytes of its files
	// Blobs are those that were uncompressed here and gave DiffID. One that is not among them is not believed.
	Blobs []digest.Digest `json:"blobs,omitempty"`
	Dir   string          `json:"-"` // a lower directory of overlayfs
}

// LayerDirs returns the directories of the unpacked layers, the lowest first.
func (i *Image) LayerDirs() []string {
	dirs := make([]string, len(i.Layers))
	for n, l := range i.Layers {
		dirs[n] = l.Dir
	}
	return dirs
}

// Name returns the image's first name, and its id where it has none.
func (i *Image) Name() string {
	if len(i.References) == 0 {
		return i.ID
	}
	return i.References[0].String()
}

// NameOf returns the familiar name that the user meant by arg, or the image's first where that was an id.
func (i *Image) NameOf(arg string) string {
	if ref, err := ParseReference(arg); err == nil && slices.Contains(i.References, ref) {
		return ref.String()
	}
	return i.Name()
}

// Lock keeps the store's names as they are: nothing is tagged or removed until unlock. Whoever makes
// a container holds it from [Store.Resolve] until the container's files name the image.
//
// What a writer of the index left who was killed goes now: nobody else can be writing.
func (s *Store) Lock() (unlock func(), err error) {
	if unlock, err = s.dir.LockShared(state.ImagesLock); err != nil {
		return nil, err
	}
	entries, _ := os.ReadDir(s.dir.Images()) // a store that is not there yet has none
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), state.TempPrefix) {
			_ = os.Remove(filepath.Join(s.dir.Images(), e.Name()))
		}
	}
	return unlock, nil
}

// lockIndex is [Store.Lock] for who changes the names, and reads them.
func (s *Store) lockIndex() (index *v1.Index, unlock func(), err error) {
	if unlock, err = s.Lock(); err != nil {
		return nil, nil, err
	}
	if index, err = s.readIndex(); err != nil {
		unlock()
		return nil, nil, err
	}
	return index, unlock, nil
}

// lockRemoval is [Store.lockIndex] for who removes images, and then what none needs.
func (s *Store) lockRemoval() (index *v1.Index, unlock func(), err error) {
	done, err := s.dir.LockObject(removalLock)
	if err != nil {
		return nil, nil, err
	}
	index, free, err := s.lockIndex()
	if err != nil {
		done()
		return nil, nil, err
	}
	return index, func() { free(); done() }, nil
}

func (s *Store) indexPath() string { return filepath.Join(s.dir.Images(), v1.ImageIndexFile) }

// blobPath wants a digest that [checkDigest] has passed.
func (s *Store) blobPath(d digest.Digest) string {
	return filepath.Join(s.dir.Images(), v1.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

func (s *Store) layerPath(chain digest.Digest) string {
	return filepath.Join(s.dir.Layers(), chain.Encoded())
}

// The parts of a layer's directory.
const (
	layerFS   = "fs"
	layerFile = "layer.json"
)

// chainIDs returns the chain id of each layer (image-spec, config.md "Layer ChainID").
func chainIDs(diffIDs []digest.Digest) []digest.Digest {
	chain := make([]digest.Digest, len(diffIDs))
	for i, diff := range diffIDs {
		if i == 0 {
			chain[i] = diff
			continue
		}
		chain[i] = digest.FromString(chain[i-1].String() + " " + diff.String())
	}
	return chain
}

// shortID returns the form in which people see a digest, 12 digits. It wants a digest that
// [checkDigest] has passed.
func shortID(d digest.Digest) string { return d.Encoded()[:12] }
