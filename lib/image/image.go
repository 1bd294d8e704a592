// Package image is the image store, with pull from layouts and archives. Registries are in lib/registry, so that
// programs that only read the store do not link HTTP.
//
// The store is two directories of the state. images/ is an OCI image layout (image-spec, image-layout.md), which skopeo
// and other tools can read:
//
//	index.json                   one entry per name; org.opencontainers.image.ref.name is the familiar
//	                             name (mysql:5.7.25). An image that lost its name to a newer image has
//	                             an entry without a name.
//	blobs/sha256/<hex>           manifests, configurations and layers, as received from the source
//	blobs/sha256/.tmp-<hex>      partly received layer; stays after an interrupted pull, and the next
//	                             pull resumes it
//	sources/<hex>                repositories that have the blob, one name per line: see proof.go
//
// layers/ has the unpacked layers. Images share them; each is stored once, under its chain id (image-spec, config.md
// "Layer ChainID"):
//
//	layers/<chain id>/fs         lower directory of overlayfs: a whiteout is a character device 0:0,
//	                             an opaque directory has trusted.overlay.opaque=y
//	layers/<chain id>/layer.json written last: its presence means that the layer is complete on disk
//	layers/.tmp-<chain id>       layer that is being unpacked
//
// Locks (flock(2), in the run directory of the state) and what they protect:
//
//	images          index.json, pulls/, and every removal
//	layer-<chain>   layers/<chain> and its temporary directory, while the layer is fetched
//	blob-<digest>   a layer's blob or a configuration, while it is fetched
//	index, removal  nothing; their files tell that a command was killed during a write or a removal (settle.go)
//
// pulls/<id>.json lists the blobs and layers that a running pull needs until the index names them.
//
// CPU seconds of a pull of the test image mysql (108 MB of gzip, 460 MB unpacked, 8,000 files), and how each part was
// reduced. On two cores and tmpfs the pull takes 1.1 s; curl | gzip -dc | tar x takes 2.4 s, gzip -dc alone 2.0 s.
//
//	inflate        1.4   klauspost/compress (compress/gzip: 2.0), on its own core (stream.go)
//	diff id        0.35  SHA-256 instructions, concurrently; no second pass
//	files          0.45  half of it is copying into the page cache; parents stay open, five system calls per file
//	blob           0.15  hashed while received (regclient's pass is skipped), and kept out of the page cache
//	network        0.1   pieces of at least 64 KiB
//	final sync     0.04  on ext4; was 0.25 before writeback of large files started during the unpacking
//
// A removal keeps what the index, a container or a running pull needs, and removes everything else, including what a
// killed pull left.
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

// Our annotations of an index entry.
const (
	annotationCreated = "mydocker.created" // time of the pull, RFC 3339
	annotationSource  = "mydocker.digest"  // digest at the source, often that of an index
)

// Store is the image store of a state directory. It has only paths: any number of processes may use the same store.
type Store struct {
	dir state.Dir
}

// Open returns the store in the state directory. It creates no files.
func Open(dir state.Dir) *Store { return &Store{dir: dir} }

// Image is an image of the store.
type Image struct {
	ID           string        // the first 12 hexadecimal digits of ConfigDigest
	ConfigDigest digest.Digest // what docker calls the image id
	Digest       digest.Digest // digest at the source: of an index or of the manifest
	References   []Reference   // names, in the order of the index; empty if newer images took them
	Manifest     v1.Descriptor
	Config       v1.Image
	Layers       []Layer // lowest first
	Created      time.Time
	Size         int64 // bytes of the unpacked layers
}

// Layer is an unpacked layer.
type Layer struct {
	ChainID digest.Digest `json:"chainID"` // identifies the layer and all layers below it
	DiffID  digest.Digest `json:"diffID"`  // of the uncompressed archive
	Size    int64         `json:"size"`    // bytes of its files
	// Blobs that this store decompressed to DiffID. Other blobs are not trusted to contain the layer.
	Blobs []digest.Digest `json:"blobs,omitempty"`
	Dir   string          `json:"-"` // lower directory of overlayfs
}

// LayerDirs returns the directories of the unpacked layers, lowest first.
func (i *Image) LayerDirs() []string {
	dirs := make([]string, len(i.Layers))
	for n, l := range i.Layers {
		dirs[n] = l.Dir
	}
	return dirs
}

// Name returns the first name of the image, or its id if it has no name.
func (i *Image) Name() string {
	if len(i.References) == 0 {
		return i.ID
	}
	return i.References[0].String()
}

// NameOf returns the name of the image that the user gave as arg, in familiar form. If arg was an id, it returns
// [Image.Name].
func (i *Image) NameOf(arg string) string {
	if ref, err := ParseReference(arg); err == nil && slices.Contains(i.References, ref) {
		return ref.String()
	}
	return i.Name()
}

// Lock locks the store: no other process tags or removes images until unlock. The creator of a container holds it from
// [Store.Resolve] until the container's record names the image.
//
// Lock removes temporary files of killed writers, since no other process can be writing.
func (s *Store) Lock() (unlock func(), err error) {
	if unlock, err = s.dir.LockShared(state.ImagesLock); err != nil {
		return nil, err
	}
	entries, _ := os.ReadDir(s.dir.Images()) // a missing directory has none
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), state.TempPrefix) {
			_ = os.Remove(filepath.Join(s.dir.Images(), e.Name()))
		}
	}
	return unlock, nil
}

// lockIndex locks the store and returns the index, for a change.
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

// lockRemoval is [Store.lockIndex] for a removal. If the process is killed, [Store.Settle] continues the removal.
func (s *Store) lockRemoval() (index *v1.Index, unlock func(), err error) {
	done, err := s.dir.LockObject(removalLock)
	if err != nil {
		return nil, nil, err
	}
	index, unlockIndex, err := s.lockIndex()
	if err != nil {
		done()
		return nil, nil, err
	}
	return index, func() { unlockIndex(); done() }, nil
}

func (s *Store) indexPath() string { return filepath.Join(s.dir.Images(), v1.ImageIndexFile) }

// blobPath requires a digest that passed [checkDigest].
func (s *Store) blobPath(d digest.Digest) string {
	return filepath.Join(s.dir.Images(), v1.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

func (s *Store) layerPath(chain digest.Digest) string {
	return filepath.Join(s.dir.Layers(), chain.Encoded())
}

// Parts of a layer's directory.
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

// shortID returns the first 12 hexadecimal digits of a digest, for output. It requires a digest that passed
// [checkDigest].
func shortID(d digest.Digest) string { return d.Encoded()[:12] }
