package image

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

const secret = "the private image's secret"

// withDiffs replaces the diff ids in the configuration of a fake.
func (f *fake) withDiffs(diffs ...digest.Digest) *fake {
	return f.edit(func(m *v1.Manifest) {
		var config v1.Image
		json.Unmarshal(f.blobs[m.Config.Digest], &config)
		config.RootFS.DiffIDs = diffs
		m.Config = f.addJSON(v1.MediaTypeImageConfig, config)
	})
}

// without removes a blob from a fake. The manifest still names it.
func (f *fake) without(d digest.Digest) *fake {
	delete(f.blobs, d)
	return f
}

// manifestOf returns the manifest of a fake.
func manifestOf(f *fake) v1.Manifest {
	var m v1.Manifest
	json.Unmarshal(f.blobs[f.root.Digest], &m)
	return m
}

// layoutOf writes a fake as a layout and opens it as a local source.
func layoutOf(t *testing.T, f *fake) Source {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for d, data := range f.blobs {
		write(blobName(v1.Descriptor{Digest: d}), data)
	}
	entry := f.root
	entry.Annotations = map[string]string{v1.AnnotationRefName: f.ref.String()}
	index, _ := json.Marshal(v1.Index{Manifests: []v1.Descriptor{entry}})
	write(v1.ImageIndexFile, index)
	src, err := openLayout(layoutDir(dir), "x", "")
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestLayersNeedProof checks that an image that names the layers of another image does not get them, unless its source
// has them too.
func TestLayersNeedProof(t *testing.T) {
	for _, compression := range []string{v1.MediaTypeImageLayer, v1.MediaTypeImageLayerGzip} {
		base, private := tarOf(file("base", "1")), tarOf(file("secret", secret))
		owner := newFake(t, "corp/private", compression, base, private)
		names := manifestOf(owner)
		diffs := []digest.Digest{digest.FromBytes(base), digest.FromBytes(private)}
		thief := func(layers ...[]byte) *fake { return newFake(t, "thief", compression, layers...) }
		other := tarOf(file("x", "x"))
		for name, src := range map[string]*fake{
			"diff ids":           thief(base, other).withDiffs(diffs...),
			"diff ids, reversed": thief(base, other).withDiffs(diffs[1], diffs[0]),
			"chain id":           thief(other).withDiffs(chainIDs(diffs)[1]),
			"digest of a blob": thief(base, other).withDiffs(diffs...).edit(func(m *v1.Manifest) {
				m.Layers = names.Layers
			}),
			"digest of a blob under another diff id": thief(other).edit(func(m *v1.Manifest) { m.Layers = names.Layers[1:] }),
			"configuration": newFake(t, "thief", compression, base, private).edit(func(m *v1.Manifest) {
				m.Config = names.Config
			}).without(names.Config.Digest),
		} {
			for _, local := range []bool{false, true} {
				t.Run(filepath.Base(compression)+"/"+name, func(t *testing.T) {
					s := newStore(t)
					mustPull(t, s, owner)
					var source Source = src
					if local {
						src.ref = owner.ref // a layout may claim any name
						source = layoutOf(t, src)
					}
					if r, err := pullFrom(s, source); err == nil {
						t.Errorf("local %v: pull got %v", local, r.Image.LayerDirs())
					}
					cleanOfRefused(t, s)
					img, err := s.Resolve("corp/private")
					if err != nil || tree(t, img.LayerDirs()[1]) != "secret="+secret+"\n" {
						t.Errorf("local %v: the owner's image: %v", local, err)
					}
					if r := mustPull(t, s, owner); r.New {
						t.Errorf("the owner's image changed")
					}
				})
				src.ref, _ = ParseReference("thief")
			}
		}
	}
}

// TestManifestNeedsProof checks that the manifest of a private image, listed in the index of another source, is
// requested from that source.
func TestManifestNeedsProof(t *testing.T) {
	s := newStore(t)
	owner := newFake(t, "corp/private", v1.MediaTypeImageLayer, tarOf(file("secret", secret)))
	mustPull(t, s, owner)
	thief := newFake(t, "thief", v1.MediaTypeImageLayer)
	thief.root = thief.addJSON(v1.MediaTypeImageIndex, v1.Index{Manifests: []v1.Descriptor{owner.root}})
	if _, err := pullFrom(s, thief); err == nil {
		t.Error("pull got the private image")
	}
}

// TestPartialBlobNeedsProof checks that a partial blob is resumed only from a repository that has the same blob.
func TestPartialBlobNeedsProof(t *testing.T) {
	layer := tarOf(file("secret", noise(20000)))
	owner := newFake(t, "corp/private", v1.MediaTypeImageLayerGzip, layer)
	blob := layerBlob(owner)
	thief := newFake(t, "thief", v1.MediaTypeImageLayerGzip, tarOf(file("x", noise(100)))).withDiffs(digest.FromBytes(layer))
	thief.edit(func(m *v1.Manifest) { m.Layers = manifestOf(owner).Layers })
	for _, local := range []bool{false, true} {
		s := newStore(t)
		part := filepath.Join(filepath.Dir(s.blobPath(blob)), state.TempPrefix+blob.Encoded())
		os.MkdirAll(filepath.Dir(part), 0o700)
		if err := os.WriteFile(part, owner.blobs[blob], 0o600); err != nil {
			t.Fatal(err)
		}
		var source Source = thief
		if local {
			source = layoutOf(t, thief)
		}
		if _, err := pullFrom(s, source); err == nil {
			t.Errorf("local %v: pull got the blob", local)
		}
	}
}

// TestPeeks checks that a repository that proves to have a blob is not asked for the blob, nor for another proof, and
// that a wrong piece is not accepted as proof.
func TestPeeks(t *testing.T) {
	s := newStore(t)
	layer := tarOf(file("a", noise(20000)))
	mustPull(t, s, newFake(t, "one", v1.MediaTypeImageLayerGzip, layer))
	two := newFake(t, "two", v1.MediaTypeImageLayerGzip, layer)
	for range 2 {
		mustPull(t, s, two)
	}
	if blob := layerBlob(two); two.peeks != 1 || two.asked[blob] != 0 || two.served != 0 {
		t.Errorf("%d peeks, fetched %d times, %d bytes", two.peeks, two.asked[blob], two.served)
	}
	tag := newFake(t, "two:2", v1.MediaTypeImageLayerGzip, layer) // of the same repository
	if mustPull(t, s, tag); tag.peeks != 0 || tag.served != 0 {
		t.Errorf("%d peeks, %d bytes", tag.peeks, tag.served)
	}
	liar := newFake(t, "liar", v1.MediaTypeImageLayerGzip, layer)
	liar.blobs[layerBlob(liar)] = make([]byte, len(liar.blobs[layerBlob(liar)]))
	if _, err := pullFrom(s, liar); err == nil || !strings.Contains(err.Error(), "content has digest") {
		t.Errorf("got %v", err)
	}
	for _, arg := range []string{"one", "two", "two:2"} {
		if _, err := s.Remove(arg, func(*Image) error { return nil }); err != nil {
			t.Error(err)
		}
	}
	if left, _ := os.ReadDir(s.sourcesDir()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestStoreOfPreviousRelease checks that a store without blobs in layer.json and without sources/ is used: nothing is
// fetched again.
func TestStoreOfPreviousRelease(t *testing.T) {
	s := newStore(t)
	src := newFake(t, "x", v1.MediaTypeImageLayerGzip, tarOf(file("a", noise(20000))))
	img := mustPull(t, s, src).Image
	before := img.Layers[0]
	before.Blobs = nil
	if err := state.WriteJSON(filepath.Join(s.layerPath(before.ChainID), layerFile), before); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(s.sourcesDir())
	src.served = 0
	var seen []Status
	if _, err := Pull(context.Background(), s, src, PullOptions{}, func(e Event) { seen = append(seen, e.Status) }); err != nil || src.served != 0 {
		t.Errorf("%v: %d bytes were fetched, %v", err, src.served, seen)
	}
	if l, err := s.readLayer(before.ChainID); err != nil || len(l.Blobs) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	src.peeks = 0
	if mustPull(t, s, src); src.peeks != 0 {
		t.Errorf("%d peeks", src.peeks)
	}
}

// TestDockerArchiveWithOtherLayer checks an archive of docker save whose layer has the right size but another diff id
// than in the configuration.
func TestDockerArchiveWithOtherLayer(t *testing.T) {
	private := tarOf(file("secret", secret))
	s := newStore(t)
	owner := newFake(t, "corp/private", v1.MediaTypeImageLayer, private)
	mustPull(t, s, owner)
	list, _ := json.Marshal([]dockerEntry{{Config: "c.json", RepoTags: []string{"corp/private:latest"}, Layers: []string{"l"}}})
	thief := tarOf(file("c.json", string(owner.blobs[manifestOf(owner).Config.Digest])), file("l", strings.Repeat("x", len(private))), file(dockerList, string(list)))
	src, err := s.OpenSource(context.Background(), "-", strings.NewReader(string(thief)))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if r, err := pullFrom(s, src); err == nil {
		t.Errorf("pull got %v", r.Image.LayerDirs())
	}
	cleanOfRefused(t, s)
}

// TestLayoutSizesAreChecked checks sizes in the documents of layouts and archives.
func TestLayoutSizesAreChecked(t *testing.T) {
	for name, edit := range map[string]func(f *fake){
		"of the manifest":          func(f *fake) { f.root.Size++ },
		"of the configuration":     func(f *fake) { f.edit(func(m *v1.Manifest) { m.Config.Size-- }) },
		"of a layer, too short":    func(f *fake) { f.edit(func(m *v1.Manifest) { m.Layers[0].Size-- }) },
		"of a layer, too long":     func(f *fake) { f.edit(func(m *v1.Manifest) { m.Layers[0].Size++ }) },
		"of a layer, negative":     func(f *fake) { f.edit(func(m *v1.Manifest) { m.Layers[0].Size = -5 }) },
		"of a layer that is there": func(f *fake) { f.edit(func(m *v1.Manifest) { m.Layers[1].Size++ }) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			there := tarOf(file("there", "1"))
			mustPull(t, s, newFake(t, "other", v1.MediaTypeImageLayer, there))
			src := newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "1")), there)
			edit(src)
			if _, err := pullFrom(s, layoutOf(t, src)); err == nil {
				t.Error("image is accepted")
			}
			cleanOfRefused(t, s)
		})
	}
	src := newFake(t, "x", v1.MediaTypeImageLayer)
	for _, size := range []string{"-1", "-9223372036854775808", "9223372036854775808", "1.5", `"1"`} {
		index := strings.Replace(`{"schemaVersion":2,"manifests":[{"digest":"`+src.root.Digest.String()+`","size":SIZE}]}`, "SIZE", size, 1)
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, v1.ImageIndexFile), []byte(index), 0o600)
		if _, err := openLayout(layoutDir(dir), "x", ""); err == nil {
			t.Errorf("size %s is accepted", size)
		}
	}
}

// TestExportRefusesDamagedBlob checks that a blob with another size than in the manifest is not exported.
func TestExportRefusesDamagedBlob(t *testing.T) {
	s := newStore(t)
	src := newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "1")))
	mustPull(t, s, src)
	if err := os.Truncate(s.blobPath(layerBlob(src)), 100); err != nil {
		t.Fatal(err)
	}
	if err := s.Export(context.Background(), "x", "oci-archive:"+filepath.Join(t.TempDir(), "a"), nil); err == nil || !strings.Contains(err.Error(), "has 100 bytes") {
		t.Errorf("got %v", err)
	}
}
