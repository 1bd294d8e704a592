package image

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/spec"
	"github.com/weikeit/mydocker/lib/state"
)

// fake is a source in memory. It counts requests.
type fake struct {
	ref   Reference
	root  v1.Descriptor
	blobs map[digest.Digest][]byte

	mu     sync.Mutex
	asked  map[digest.Digest]int
	peeks  int
	served int64                              // bytes of layers that it served, or would have served
	change func(n int, data []byte) io.Reader // changes the n-th answer for a layer
}

func (f *fake) Reference() Reference { return f.ref }
func (f *fake) Close() error         { return nil }

func (f *fake) Root(ctx context.Context) (v1.Descriptor, []byte, error) {
	return f.root, f.blobs[f.root.Digest], nil
}

func (f *fake) Manifest(_ context.Context, d v1.Descriptor) ([]byte, error) {
	return f.blobs[d.Digest], nil
}

func (f *fake) Blob(_ context.Context, d v1.Descriptor, offset int64) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[d.Digest]++
	data, ok := f.blobs[d.Digest]
	if !ok {
		return nil, errors.New("no such blob")
	}
	if strings.Contains(d.MediaType, "tar") {
		f.served += int64(len(data)) - offset
	}
	if f.change != nil && strings.Contains(d.MediaType, "tar") {
		r := f.change(f.asked[d.Digest], data)
		io.CopyN(io.Discard, r, offset)
		if c, ok := r.(io.ReadCloser); ok {
			return c, nil
		}
		return io.NopCloser(r), nil
	}
	return io.NopCloser(bytes.NewReader(data[offset:])), nil
}

// Peek implements Remote.
func (f *fake) Peek(_ context.Context, d v1.Descriptor, offset int64, n int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.peeks++
	data, ok := f.blobs[d.Digest]
	if !ok || offset+int64(n) > int64(len(data)) {
		return nil, errors.New("no such piece")
	}
	return data[offset:][:n], nil
}

func (f *fake) add(mediaType string, data []byte) v1.Descriptor {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	f.blobs[d.Digest] = data
	return d
}

func (f *fake) addJSON(mediaType string, v any) v1.Descriptor {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return f.add(mediaType, data)
}

// compressions are the compressors for layers, by media type.
var compressions = map[string]func([]byte) []byte{
	v1.MediaTypeImageLayer: func(b []byte) []byte { return b },
	v1.MediaTypeImageLayerGzip: func(b []byte) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		w.Write(b)
		w.Close()
		return out.Bytes()
	},
	v1.MediaTypeImageLayerZstd: func(b []byte) []byte {
		w, _ := zstd.NewWriter(nil)
		return w.EncodeAll(b, nil)
	},
}

// newFake returns a fake image with the layers.
func newFake(t testing.TB, name string, compression string, layers ...[]byte) *fake {
	t.Helper()
	f := &fake{blobs: make(map[digest.Digest][]byte), asked: make(map[digest.Digest]int)}
	if name != "" {
		var err error
		if f.ref, err = ParseReference(name); err != nil {
			t.Fatal(err)
		}
	}
	config := v1.Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, RootFS: v1.RootFS{Type: "layers"}}
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Layers: []v1.Descriptor{}}
	for _, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(l))
		m.Layers = append(m.Layers, f.add(compression, compressions[compression](l)))
	}
	m.Config = f.addJSON(v1.MediaTypeImageConfig, config)
	f.root = f.addJSON(v1.MediaTypeImageManifest, m)
	return f
}

// edit changes the manifest of a fake.
func (f *fake) edit(change func(*v1.Manifest)) *fake {
	var m v1.Manifest
	json.Unmarshal(f.blobs[f.root.Digest], &m)
	change(&m)
	f.root = f.addJSON(f.root.MediaType, m)
	return f
}

func newStore(t testing.TB) *Store {
	dir := t.TempDir()
	return Open(state.Dir{Root: filepath.Join(dir, "root"), Run: filepath.Join(dir, "run")})
}

func pullFrom(s *Store, src Source) (*Result, error) {
	return Pull(context.Background(), s, src, PullOptions{}, func(Event) {})
}

func mustPull(t testing.TB, s *Store, src Source) *Result {
	t.Helper()
	r, err := pullFrom(s, src)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// clean checks that there are no temporary files and pull records.
func clean(t testing.TB, s *Store) {
	t.Helper()
	cleanBut(t, s, func(string) bool { return false })
}

// cleanOfRefused is clean after a pull that failed, which keeps parts of the layers that it was fetching at the time.
func cleanOfRefused(t testing.TB, s *Store) {
	t.Helper()
	blobs := filepath.Join(s.dir.Images(), v1.ImageBlobsDir)
	cleanBut(t, s, func(path string) bool { return strings.HasPrefix(path, blobs) })
}

func cleanBut(t testing.TB, s *Store, kept func(path string) bool) {
	t.Helper()
	filepath.WalkDir(s.dir.Root, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), state.TempPrefix) && !kept(path) {
			t.Errorf("left behind: %s", path)
		}
		return nil
	})
	if left, _ := os.ReadDir(s.pullsDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPull(t *testing.T) {
	for compression := range compressions {
		s := newStore(t)
		src := newFake(t, "mysql:5.7.25", compression, tarOf(file("a", "1"), file("b", "22")), tarOf(file("c", "333")))
		r := mustPull(t, s, src)
		clean(t, s)
		img := r.Image
		if !r.New || img.Name() != "mysql:5.7.25" || img.Size != 6 || len(img.LayerDirs()) != 2 || img.Digest != src.root.Digest || img.Created.IsZero() {
			t.Errorf("%s: %+v", compression, img)
		}
		if got := tree(t, img.LayerDirs()[0]); got != "a=1\nb=22\n" {
			t.Errorf("%s: lowest layer: %s", compression, got)
		}
		for _, arg := range []string{"mysql:5.7.25", "docker.io/library/mysql:5.7.25", img.ID, img.ID[:5], img.ConfigDigest.String(), img.Digest.String(), "mysql@" + img.Digest.String()} {
			if got, err := s.Resolve(arg); err != nil || got.ID != img.ID {
				t.Errorf("resolve %s: %v", arg, err)
			}
		}
		for _, arg := range []string{"mysql", "", "x", "mysql:5", someDigest, "../x"} {
			if _, err := s.Resolve(arg); !errors.Is(err, state.ErrNotFound) {
				t.Errorf("resolve %q: %v", arg, err)
			}
		}
		src.asked = make(map[digest.Digest]int)
		if r := mustPull(t, s, src); r.New || len(src.asked) != 0 {
			t.Errorf("%s: the second pull asked for %v", compression, src.asked)
		}
	}
}

func TestPullShares(t *testing.T) {
	s := newStore(t)
	base := tarOf(file("a", "1"))
	mustPull(t, s, newFake(t, "one", v1.MediaTypeImageLayerGzip, base))
	src := newFake(t, "two", v1.MediaTypeImageLayerGzip, base, tarOf(file("b", "2")))
	two := mustPull(t, s, src).Image
	if n := src.asked[digest.FromBytes(compressions[v1.MediaTypeImageLayerGzip](base))]; n != 0 {
		t.Errorf("the shared layer was fetched %d times", n)
	}
	one, err := s.Resolve("one")
	if err != nil || one.LayerDirs()[0] != two.LayerDirs()[0] {
		t.Errorf("%v: layers are not shared: %v %v", err, one.LayerDirs(), two.LayerDirs())
	}
}

// TestPullWaitsForLower pulls an image with the same blob twice and hard links to a lower layer. It must not deadlock.
func TestPullWaitsForLower(t *testing.T) {
	s := newStore(t)
	twice := tarOf(hardlink("b", "a"))
	src := newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "1")), twice, twice, twice, twice)
	if got := tree(t, mustPull(t, s, src).Image.LayerDirs()[4]); got != "b=1\n" {
		t.Error(got)
	}
}

func TestPullManyAtOnce(t *testing.T) {
	s := newStore(t)
	src := newFake(t, "x", v1.MediaTypeImageLayerGzip, tarOf(file("a", strings.Repeat("1", 1<<20))), tarOf(file("b", "2")))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := pullFrom(s, src); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	clean(t, s)
	for d, n := range src.asked {
		if n > 1 && bytes.HasPrefix(src.blobs[d], []byte{0x1f, 0x8b}) {
			t.Errorf("layer %s was fetched %d times", d, n)
		}
	}
}

func TestPullRetries(t *testing.T) {
	s := newStore(t)
	src := newFake(t, "x", v1.MediaTypeImageLayerGzip, tarOf(file("a", "1")))
	src.change = func(n int, data []byte) io.Reader {
		if n < maxTries {
			data = slices.Clone(data)
			data[len(data)/2] ^= 1
		}
		return bytes.NewReader(data)
	}
	mustPull(t, s, src)
	clean(t, s)
}

func TestPullRefuses(t *testing.T) {
	layer := tarOf(file("a", "1"))
	gz := v1.MediaTypeImageLayerGzip
	for name, c := range map[string]struct {
		src  *fake
		want string
	}{
		"wrong byte": {func() *fake {
			f := newFake(t, "x", gz, layer)
			f.change = func(_ int, data []byte) io.Reader {
				data = slices.Clone(data)
				data[30] ^= 1
				return bytes.NewReader(data)
			}
			return f
		}(), "content has digest"},
		"cut off": {func() *fake {
			f := newFake(t, "x", gz, layer)
			f.change = func(_ int, data []byte) io.Reader { return bytes.NewReader(data[:len(data)/2]) }
			return f
		}(), "content has digest"},
		"longer than manifest size": {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Layers[0].Size-- }), "longer than"},
		"shorter":                   {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Layers[0].Size++ }), "(manifest)"},
		"no size":                   {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Layers[0].Size = -1 }), "size -1"},
		"other content": {func() *fake {
			f := newFake(t, "x", gz, layer)
			return f.edit(func(m *v1.Manifest) { m.Layers[0] = f.add(gz, compressions[gz](tarOf(file("evil", "1")))) })
		}(), "unpacked layer"},
		"not an archive": {func() *fake {
			f := newFake(t, "x", gz, layer)
			return f.edit(func(m *v1.Manifest) { m.Layers[0] = f.add(gz, bytes.Repeat([]byte("x"), 2000)) })
		}(), "invalid tar header"},
		"config longer than manifest size":  {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Config.Size-- }), "(descriptor)"},
		"config shorter than manifest size": {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Config.Size++ }), "(descriptor)"},
		"config of one terabyte":            {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Config.Size = 1 << 40 }), "exceeds 8 MiB"},
		"config without size":               {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Config.Size = -1 }), "size -1"},
		"root with other size": {func() *fake {
			f := newFake(t, "x", gz, layer)
			f.root.Size++
			return f
		}(), "(descriptor)"},
		"root without size": {func() *fake {
			f := newFake(t, "x", gz, layer)
			f.root.Size = -1
			return f
		}(), "size -1"},
		"in an index, other size": {func() *fake {
			f := newFake(t, "x", gz, layer)
			f.root.Size++
			f.root = f.addJSON(v1.MediaTypeImageIndex, v1.Index{Manifests: []v1.Descriptor{f.root}})
			return f
		}(), "(descriptor)"},
		"in an index, without size, not chosen": {func() *fake {
			f := newFake(t, "x", gz, layer)
			other := f.root
			other.Size, other.Platform = -1, &v1.Platform{OS: "plan9"}
			f.root = f.addJSON(v1.MediaTypeImageIndex, v1.Index{Manifests: []v1.Descriptor{f.root, other}})
			return f
		}(), "size -1"},
		"digest as a path": {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Layers[0].Digest = "sha256:../../../../x" }), "digest"},
		"config's digest":  {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Config.Digest = "" }), "digest"},
		"foreign layer":    {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Layers[0].URLs = []string{"http://evil/"} }), "foreign"},
		"encrypted":        {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Layers[0].MediaType += "+encrypted" }), "unsupported media type"},
		"Helm chart":       {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json" }), "not a container image"},
		"fewer layers":     {newFake(t, "x", gz, layer).edit(func(m *v1.Manifest) { m.Layers = nil }), "lists 1 layers"},
		"manifest and index": {func() *fake {
			f := newFake(t, "x", gz, layer)
			f.root = f.add(v1.MediaTypeImageManifest, []byte(strings.Replace(string(f.blobs[f.root.Digest]), "{", `{"manifests":[],`, 1)))
			return f
		}(), "both a manifest and an index"},
		"schema 1": {func() *fake {
			f := newFake(t, "x", gz, layer)
			f.root = f.add(dockerSchema1+"prettyjws", []byte(`{"schemaVersion":1}`))
			return f
		}(), "schema 1"},
		"not pinned": {newFake(t, "x@"+someDigest, gz, layer), "content has digest"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			_, err := pullFrom(s, c.src)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, c.want)
			}
			cleanOfRefused(t, s)
			if list, err := s.List(func(err error) { t.Error(err) }); err != nil || len(list) != 0 {
				t.Errorf("the store has %v, %v", list, err)
			}
			for d, n := range c.src.asked {
				if n > maxTries {
					t.Errorf("%s was requested %d times", d, n)
				}
			}
		})
	}
}

// TestPullResumes checks that a pull does not fetch data again that an interrupted pull received, and that it detects
// damage in that data.
func TestPullResumes(t *testing.T) {
	const kept = 3000
	dead := errors.New("connection lost")
	src := newFake(t, "x", v1.MediaTypeImageLayerGzip, tarOf(file("a", noise(20000))))
	layer := layerBlob(src)
	size := int64(len(src.blobs[layer]))
	for name, c := range map[string]struct {
		change func(part string) error
		served int64 // of the layer
	}{
		"part":      {func(string) error { return nil }, size - kept},
		"all":       {func(part string) error { return os.WriteFile(part, src.blobs[layer], 0o600) }, 0},
		"nothing":   {os.Remove, size},
		"too long":  {func(part string) error { return os.Truncate(part, size+1) }, size},
		"wrong":     {func(part string) error { return os.WriteFile(part, make([]byte, kept), 0o600) }, size},
		"wrong all": {func(part string) error { return os.WriteFile(part, make([]byte, size), 0o600) }, size},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			src.asked = make(map[digest.Digest]int)
			src.change = func(_ int, data []byte) io.Reader {
				return io.MultiReader(bytes.NewReader(data[:kept]), iotest.ErrReader(dead))
			}
			if _, err := pullFrom(s, src); !errors.Is(err, dead) {
				t.Fatal(err)
			}
			part := filepath.Join(filepath.Dir(s.blobPath(layer)), state.TempPrefix+layer.Encoded())
			if info, err := os.Stat(part); err != nil || info.Size() != kept {
				t.Fatalf("%v, %v", info, err)
			}
			if err := c.change(part); err != nil {
				t.Fatal(err)
			}
			src.change, src.served = nil, 0
			img := mustPull(t, s, src).Image
			clean(t, s)
			if got := tree(t, img.LayerDirs()[0]); got != "a="+noise(20000)+"\n" {
				t.Errorf("the layer has %d bytes", len(got))
			}
			if src.served != c.served {
				t.Errorf("%d bytes were fetched, want %d of %d", src.served, c.served, size)
			}
		})
	}
}

// noise returns content that hardly compresses.
func noise(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

// layerBlob returns the digest of a fake's first layer.
func layerBlob(f *fake) digest.Digest {
	var m v1.Manifest
	json.Unmarshal(f.blobs[f.root.Digest], &m)
	return m.Layers[0].Digest
}

func TestPullInterrupted(t *testing.T) {
	s := newStore(t)
	ctx, stop := context.WithCancel(context.Background())
	src := newFake(t, "x", v1.MediaTypeImageLayerGzip, tarOf(file("a", "1")))
	hang, done := io.Pipe()
	defer done.Close()
	src.change = func(int, []byte) io.Reader { stop(); return hang }
	if _, err := Pull(ctx, s, src, PullOptions{}, func(Event) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	clean(t, s)
}

func TestPlatforms(t *testing.T) {
	s := newStore(t)
	src := newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "amd64")))
	amd := src.root
	arm := newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "arm64")))
	var config v1.Image
	for d, data := range arm.blobs {
		src.blobs[d] = data
	}
	json.Unmarshal(arm.blobs[arm.root.Digest], &config)
	amd.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
	src.root = src.addJSON(v1.MediaTypeImageIndex, v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{amd}})
	inner := src.root // an index within an index
	src.root = src.addJSON(v1.MediaTypeImageIndex, v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []v1.Descriptor{
		{MediaType: arm.root.MediaType, Digest: arm.root.Digest, Size: arm.root.Size, Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}, inner}})
	r, err := Pull(context.Background(), s, src, PullOptions{Platform: "linux/amd64"}, func(Event) {})
	if err != nil || r.Image.Digest != src.root.Digest || tree(t, r.Image.LayerDirs()[0]) != "a=amd64\n" {
		t.Fatalf("%v %+v", err, r)
	}
	only := newFake(t, "y", v1.MediaTypeImageLayer, tarOf(file("a", "1")))
	e := only.root
	e.Platform = &v1.Platform{OS: "linux", Architecture: "s390x"}
	only.root = only.addJSON(v1.MediaTypeImageIndex, v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []v1.Descriptor{e}})
	if _, err := pullFrom(s, only); err == nil || !strings.Contains(err.Error(), "only linux/s390x") {
		t.Error(err)
	}
	if _, err := Pull(context.Background(), s, src, PullOptions{Platform: "a/b/c/d"}, nil); err == nil {
		t.Error("platform with four parts is accepted")
	}
}

func TestRemove(t *testing.T) {
	s := newStore(t)
	base, gz := tarOf(file("a", "1")), v1.MediaTypeImageLayerGzip
	one := mustPull(t, s, newFake(t, "one", gz, base)).Image
	two := mustPull(t, s, newFake(t, "two", gz, base, tarOf(file("b", "2")))).Image
	mustPull(t, s, newFake(t, "alias:1", gz, base))
	free := func(*Image) error { return nil }
	used := func(img *Image) error { return fmt.Errorf("image %s is used", img.ID) }

	if _, err := s.Remove("none", free); !errors.Is(err, state.ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.Remove(one.ID, free); err == nil || !strings.Contains(err.Error(), "alias") {
		t.Errorf("an id with two names: %v", err)
	}
	if r, err := s.Remove("one", used); err != nil || len(r.Deleted) != 0 || !slices.Equal(r.Untagged, []string{"one:latest"}) {
		t.Errorf("one of two names: %+v, %v", r, err)
	}
	if _, err := s.Remove("alias:1", used); err == nil {
		t.Error("an image in use was removed")
	}
	if r, err := s.Remove("alias:1", free); err != nil || !slices.Equal(r.Deleted, []digest.Digest{one.ConfigDigest}) {
		t.Errorf("its layer is shared: %+v, %v", r, err)
	}
	if _, err := s.Resolve("two"); err != nil {
		t.Error(err)
	}
	if r, err := s.Remove(two.ID, free); err != nil || len(r.Deleted) != 3 || !slices.Equal(r.Untagged, []string{"two:latest"}) {
		t.Errorf("the last: %+v, %v", r, err)
	}
	for _, dir := range []string{s.dir.Layers(), filepath.Join(s.dir.Images(), "blobs/sha256")} {
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("left in %s: %v", dir, left)
		}
	}
}

func TestTagMovesToNewImage(t *testing.T) {
	s := newStore(t)
	old := mustPull(t, s, newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "1")))).Image
	mustPull(t, s, newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "2"))))
	list, err := s.List(func(err error) { t.Error(err) })
	if err != nil || len(list) != 2 || list[0].Name() != "x:latest" || list[1].ID != old.ID || len(list[1].References) != 0 {
		t.Fatalf("%v %+v", err, list)
	}
	if img, err := s.Resolve(old.ID); err != nil || img.Name() != old.ID {
		t.Errorf("%v: the old image is gone, though a container may use it", err)
	}
	if _, err := s.Remove(old.ID, func(*Image) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestPullRecords checks that a record that cannot be read protects the store, and that only a sweep removes records,
// those of killed pulls.
func TestPullRecords(t *testing.T) {
	s := newStore(t)
	img := mustPull(t, s, newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "1")))).Image
	dead, err := state.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	dead.Start++
	state.WriteJSON(filepath.Join(s.pullsDir(), "dead.json"), pullRecord{Process: dead})
	os.WriteFile(filepath.Join(s.pullsDir(), "torn.json"), []byte(`{"process": {`), 0o600)
	unreadable := filepath.Join(s.pullsDir(), "unreadable.json")
	if err := os.Symlink(unreadable, unreadable); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Orphans(); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a check: %v", err)
	}
	if _, err := s.Remove(img.ID, func(*Image) error { return nil }); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a removal: %v", err)
	}
	if all := tree(t, s.dir.Root); !strings.Contains(all, "a=1") {
		t.Errorf("the layer is gone:\n%s", all)
	}
	os.Remove(unreadable)
	if _, err := s.Orphans(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(s.pullsDir()); len(left) != 2 {
		t.Errorf("after a check: %v", left)
	}
	if err := s.sweepOrphans(nil); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(s.pullsDir()); len(left) != 0 || strings.Contains(tree(t, s.dir.Root), "a=1") {
		t.Errorf("after a sweep: %v", left)
	}
}

// TestSweep checks that a pull removes what killed pulls left, except for a day what a pull can resume, and that it
// keeps what a running pull needs.
func TestSweep(t *testing.T) {
	s := newStore(t)
	mustPull(t, s, newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "1"))))
	hex := strings.Repeat("ab", 32)
	live := strings.Repeat("cd", 32)
	young := strings.Repeat("ef", 32)
	for _, name := range []string{hex, live, young} {
		for _, path := range []string{filepath.Join(s.dir.Layers(), state.TempPrefix+name, "fs/x"), filepath.Join(s.dir.Layers(), name, "fs/x"),
			filepath.Join(s.dir.Images(), "blobs/sha256", name), filepath.Join(s.dir.Images(), "blobs/sha256", state.TempPrefix+name)} {
			os.MkdirAll(filepath.Dir(path), 0o700)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole := filepath.Join(s.dir.Layers(), young) // the other one has no layer.json and is incomplete
	os.WriteFile(filepath.Join(whole, layerFile), []byte("{}"), 0o600)
	long := time.Now().Add(-2 * resumeTime)
	for _, path := range []string{filepath.Join(s.dir.Layers(), hex), s.blobPath(digest.Digest("sha256:" + hex)), filepath.Join(s.dir.Images(), "blobs/sha256", state.TempPrefix+hex)} {
		os.Chtimes(path, long, long)
	}
	self, err := state.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	dead := self
	dead.Start++
	running := filepath.Join(s.pullsDir(), "running.json")
	state.WriteJSON(running, pullRecord{Process: self, Blobs: []digest.Digest{digest.Digest("sha256:" + live)}, Chains: []digest.Digest{digest.Digest("sha256:" + live)}})
	state.WriteJSON(filepath.Join(s.pullsDir(), "dead.json"), pullRecord{Process: dead, Chains: []digest.Digest{digest.Digest("sha256:" + hex)}})
	mustPull(t, s, newFake(t, "y", v1.MediaTypeImageLayer, tarOf(file("a", "1"))))
	all := tree(t, s.dir.Root)
	if strings.Contains(all, hex) || strings.Count(all, live) != 8 {
		t.Errorf("got\n%s", all)
	}
	os.Remove(running)
	orphans, err := s.Orphans()
	if err != nil {
		t.Fatal(err)
	}
	var kept, lost []string
	for _, r := range orphans {
		list := &lost
		if r.Kept {
			list = &kept
		}
		*list = append(*list, filepath.Base(r.Name))
	}
	if want := []string{state.TempPrefix + live, state.TempPrefix + young, live, young, young}; !slices.Equal(kept, want) || !slices.Equal(lost, []string{state.TempPrefix + live, live}) {
		t.Errorf("kept %v, want %v; lost %v", kept, want, lost)
	}
	os.Chtimes(whole, long, long)
	if orphans, _ = s.Orphans(); !slices.ContainsFunc(orphans, func(r state.Orphan) bool { return r.Name == whole && !r.Kept }) {
		t.Errorf("after a day: %+v", orphans)
	}
	for _, r := range orphans { // each kind removes its orphans
		if !r.Kept {
			if err := r.Remove(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
	if all := tree(t, s.dir.Root); strings.Contains(all, "layers/"+young) || !strings.Contains(all, "sha256/"+young) {
		t.Errorf("after a repair:\n%s", all)
	}
	if _, err := s.Prune(false, func(*Image) bool { return true }); err != nil {
		t.Error(err)
	}
	if all := tree(t, s.dir.Root); strings.Contains(all, young) {
		t.Errorf("after a prune:\n%s", all)
	}
}

// TestLostIndex checks that a store without index keeps its layers, since containers may use them.
func TestLostIndex(t *testing.T) {
	s := newStore(t)
	img := mustPull(t, s, newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "1")))).Image
	if err := os.Remove(s.indexPath()); err != nil {
		t.Fatal(err)
	}
	bad := newFake(t, "y", v1.MediaTypeImageLayer, tarOf(file("b", "1"))).edit(func(m *v1.Manifest) { m.Layers[0].Size++ })
	if _, err := pullFrom(s, bad); err == nil {
		t.Error("no error")
	}
	if got := tree(t, img.LayerDirs()[0]); got != "a=1\n" {
		t.Errorf("got %q", got)
	}
	doc := fmt.Sprintf(`{"ociVersion":"1.0.2","annotations":{%q:%q}}`, spec.AnnotationImageID, img.ConfigDigest)
	if err := state.WriteFile(s.dir.Config("0123456789ab"), []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"y", "z"} { // the second reads the index that the first created
		mustPull(t, s, newFake(t, name, v1.MediaTypeImageLayer, tarOf(file(name, "1"))))
	}
	if got := tree(t, img.LayerDirs()[0]); got != "a=1\n" {
		t.Errorf("a layer in use is gone: %q", got)
	}
}

// TestFirstPullKilled checks that the second pull removes everything that the first one left in a new store.
func TestFirstPullKilled(t *testing.T) {
	s := newStore(t)
	bad := newFake(t, "y", v1.MediaTypeImageLayer, tarOf(file("b", "1"))).edit(func(m *v1.Manifest) { m.Layers[0].Size++ })
	if _, err := pullFrom(s, bad); err == nil {
		t.Error("no error")
	}
	left := filepath.Join(s.dir.Layers(), state.TempPrefix+strings.Repeat("ab", 32))
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	mustPull(t, s, newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "1"))))
	clean(t, s)
}

func TestArchives(t *testing.T) {
	gz := v1.MediaTypeImageLayerGzip
	for _, compression := range []string{v1.MediaTypeImageLayer, gz} {
		src := newFake(t, "x:1", compression, tarOf(file("a", "1")), tarOf(file("b", "2")))
		var m v1.Manifest
		json.Unmarshal(src.blobs[src.root.Digest], &m)
		list, _ := json.Marshal([]dockerEntry{{Config: "c.json", RepoTags: []string{"foo/bar:2"}, Layers: []string{"1/layer.tar", "2/layer.tar"}}})
		docker := tarOf(file("1/layer.tar", string(src.blobs[m.Layers[0].Digest])), symlink("2/layer.tar", "../shared"),
			file("shared", string(src.blobs[m.Layers[1].Digest])), file("c.json", string(src.blobs[m.Config.Digest])), file(dockerList, string(list)))
		root := src.root
		root.Annotations = map[string]string{v1.AnnotationRefName: "v1"}
		index, _ := json.Marshal(v1.Index{Manifests: []v1.Descriptor{root}})
		files := []entry{file("oci-layout", "{}"), file("index.json", string(index))}
		for d, data := range src.blobs {
			files = append(files, file("blobs/sha256/"+d.Encoded(), string(data)))
		}
		oci := tarOf(files...)
		dir := t.TempDir()
		write := func(name string, data []byte) string {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		if err := unpackInto(t, dir, oci); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			arg   string
			stdin []byte
			name  string
		}{
			{"docker-archive:" + write("d.tar", docker), nil, "foo/bar:2"},
			{"docker-archive:" + write("d.tar.gz", compressions[gz](docker)) + ":foo/bar:2", nil, "foo/bar:2"},
			{"oci-archive:" + write("o.tar", oci), nil, "o:v1"},
			{"oci-archive:" + write("o.tar.zst", compressions[v1.MediaTypeImageLayerZstd](oci)) + ":v1", nil, "o:v1"},
			{"ocidir:" + dir + ":v1", nil, strings.ToLower(filepath.Base(dir)) + ":v1"},
			{"-", docker, "foo/bar:2"},
			{"-", compressions[gz](oci), ""},
		} {
			s := newStore(t)
			got, err := s.OpenSource(context.Background(), c.arg, bytes.NewReader(c.stdin))
			if err != nil {
				t.Errorf("%s: %v", c.arg, err)
				continue
			}
			r, err := pullFrom(s, got)
			got.Close()
			if err != nil || len(r.Image.Layers) != 2 || (c.name != "" && r.Image.Name() != c.name) {
				t.Errorf("%s: %v, %+v", c.arg, err, r)
			}
			clean(t, s)
		}
		s := newStore(t)
		for arg, want := range map[string]string{"ocidir:/none": "does not exist", "ocidir:" + dir + ":v9": `no image "v9"`, "docker-archive:" + dir + "/d.tar:x": "no image",
			"oci-archive:" + dir + "/d.tar": "neither an OCI", "-": "neither an OCI"} {
			if _, err := s.OpenSource(context.Background(), arg, strings.NewReader("")); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", arg, err)
			}
		}
	}
}

// TestDockerManifest checks that a docker manifest is stored as OCI and found by its original digest.
func TestDockerManifest(t *testing.T) {
	s := newStore(t)
	src := newFake(t, "x", v1.MediaTypeImageLayerGzip, tarOf(file("a", "1"))).edit(func(m *v1.Manifest) {
		m.MediaType, m.Config.MediaType, m.Layers[0].MediaType = dockerManifest, dockerConfig, "application/vnd.docker.image.rootfs.diff.tar.gzip"
	})
	src.root.MediaType = dockerManifest
	img := mustPull(t, s, src).Image
	if img.Digest != src.root.Digest || img.Manifest.MediaType != v1.MediaTypeImageManifest || img.Manifest.Digest == img.Digest {
		t.Errorf("%+v", img)
	}
	if _, err := s.Resolve("x@" + src.root.Digest.String()); err != nil {
		t.Error(err)
	}
	if r := mustPull(t, s, src); r.New {
		t.Error("the second pull changed something")
	}
}
