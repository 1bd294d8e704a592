package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

// FuzzDocuments pulls an image with an arbitrary manifest and configuration. The pull must end, write nothing outside
// the store's directories, and on success the image must be readable.
func FuzzDocuments(f *testing.F) {
	src := newFake(f, "x", v1.MediaTypeImageLayerGzip, tarOf(file("a", "1")))
	var m v1.Manifest
	json.Unmarshal(src.blobs[src.root.Digest], &m)
	f.Add(src.blobs[src.root.Digest], src.blobs[m.Config.Digest], v1.MediaTypeImageManifest)
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"sha256:../x","size":1,"platform":{"os":"linux","architecture":"amd64"}}]}`), []byte("{}"), v1.MediaTypeImageIndex)
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"","size":-1},"layers":null}`), []byte(`{"rootfs":{"diff_ids":["sha256:"]}}`), "")
	f.Fuzz(func(t *testing.T, manifest, config []byte, mediaType string) {
		s := newStore(t)
		src := newFake(t, "x", v1.MediaTypeImageLayerGzip, tarOf(file("a", "1")))
		// The manifest names this configuration; otherwise the pull would not read it.
		named := src.add(v1.MediaTypeImageConfig, config)
		what := func(d v1.Descriptor) []byte { return fmt.Appendf(nil, `"%s","size":%d`, d.Digest, d.Size) }
		manifest = bytes.Replace(manifest, what(m.Config), what(named), 1)
		src.root = src.add(mediaType, manifest)
		r, err := pullFrom(s, src)
		if err == nil && (r.Image == nil || r.Image.Name() != "x:latest") {
			t.Errorf("%+v", r)
		}
		if err != nil && len(err.Error()) > 2000 {
			t.Errorf("a message of %d bytes", len(err.Error()))
		}
		cleanOfRefused(t, s)
		outside, _ := os.ReadDir(filepath.Dir(s.dir.Root))
		for _, e := range outside {
			if e.Name() != "root" && e.Name() != "run" {
				t.Errorf("outside: %s", e.Name())
			}
		}
	})
}

// FuzzArchive pulls from arbitrary image archives.
func FuzzArchive(f *testing.F) {
	src := newFake(f, "x", v1.MediaTypeImageLayerGzip, tarOf(file("a", "1")))
	var m v1.Manifest
	json.Unmarshal(src.blobs[src.root.Digest], &m)
	list, _ := json.Marshal([]dockerEntry{{Config: "c.json", RepoTags: []string{"foo/bar:2"}, Layers: []string{"l"}}})
	f.Add(tarOf(file("1/l", string(src.blobs[m.Layers[0].Digest])), symlink("l", "1/l"), file("c.json", string(src.blobs[m.Config.Digest])), file(dockerList, string(list))))
	index, _ := json.Marshal(v1.Index{Manifests: []v1.Descriptor{src.root}})
	files := []entry{file("oci-layout", "{}"), file("index.json", string(index))}
	for d, data := range src.blobs {
		files = append(files, file("blobs/sha256/"+d.Encoded(), string(data)))
	}
	f.Add(tarOf(files...))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		s := Open(state.Dir{Root: filepath.Join(dir, "root"), Run: filepath.Join(dir, "run")})
		src, err := s.OpenSource(context.Background(), "-", bytes.NewReader(data))
		if err != nil {
			return
		}
		defer src.Close()
		if _, err := pullFrom(s, src); err != nil && len(err.Error()) > 3000 {
			t.Errorf("a message of %d bytes", len(err.Error()))
		}
		cleanOfRefused(t, s)
	})
}
