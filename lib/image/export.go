package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/state"
)

// export is an image that is being exported. Its blobs are open, so a concurrent removal does not matter.
type export struct {
	entry v1.Descriptor // for index.json, with the name of the image
	blobs []exportBlob
	list  []byte // manifest.json for docker load
}

type exportBlob struct {
	digest digest.Digest
	size   int64
	file   *os.File
}

func (e *export) close() {
	for _, b := range e.blobs {
		b.file.Close()
	}
}

// Export writes an image of the store in a form that [Store.OpenSource] reads:
//
//	ocidir:DIR[:TAG]            OCI image layout; other images in it stay
//	oci-archive:FILE[:TAG]      tar archive that is an OCI image layout and that docker load reads
//	docker-archive:FILE[:NAME]  the same
//	-                           the same, on stdout
//
// Without TAG or NAME, the image keeps its name.
func (s *Store) Export(ctx context.Context, arg, to string, stdout io.Writer) error {
	scheme, file, name := splitDestination(to)
	e, err := s.openExport(arg, name)
	if err != nil {
		return err
	}
	defer e.close()
	switch scheme {
	case "-":
		return e.writeArchive(ctx, stdout)
	case schemeLayout:
		return s.withExportNote(file, "/", func(string) error { return e.writeLayout(ctx, file) })
	case schemeOCIArchive, schemeDockerArchive:
		return s.WriteWhole(file, func(w io.Writer) error { return e.writeArchive(ctx, w) })
	}
	return fmt.Errorf("destination %.300q: want ocidir:DIR, oci-archive:FILE, docker-archive:FILE or -", to)
}

// splitDestination splits SCHEME:PATH[:NAME] at the first colon of the path, as skopeo does. The path may not exist yet,
// so it cannot be used to tell where NAME starts.
func splitDestination(to string) (scheme, file, name string) {
	for _, scheme := range []string{schemeLayout, schemeOCIArchive, schemeDockerArchive} {
		if rest, ok := strings.CutPrefix(to, scheme); ok && rest != "" {
			file, name, _ := strings.Cut(rest, ":")
			return scheme, file, name
		}
	}
	if to == "-" {
		return "-", "", ""
	}
	return "", "", ""
}

// openExport opens all blobs of an image, under the store's lock.
func (s *Store) openExport(arg, name string) (*export, error) {
	unlock, err := s.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	img, err := s.Resolve(arg)
	if err != nil {
		return nil, err
	}
	manifest, err := s.readManifest(img.Manifest)
	if err != nil {
		return nil, err
	}
	ref, err := ParseReference(img.NameOf(arg))
	if err != nil {
		ref = Reference{}
	}
	e := &export{entry: img.Manifest}
	e.entry.Annotations = exportNames(ref, name)
	for _, d := range append([]v1.Descriptor{img.Manifest, manifest.Config}, manifest.Layers...) {
		if err := e.add(s.blobPath(d.Digest), d); err != nil {
			e.close()
			return nil, fmt.Errorf("image %s: %w", arg, err)
		}
	}
	entry := dockerEntry{Config: blobName(manifest.Config)}
	for _, l := range manifest.Layers {
		entry.Layers = append(entry.Layers, blobName(l))
	}
	switch {
	case strings.Contains(name, ":") || strings.Contains(name, "/"):
		entry.RepoTags = []string{name}
	case ref.Path != "":
		entry.RepoTags = []string{ref.String()}
	}
	e.list, err = json.Marshal([]dockerEntry{entry})
	return e, err
}

// exportNames returns the annotations for the name of the image: the tag as in OCI, and the full name as written by
// containerd and docker.
func exportNames(ref Reference, name string) map[string]string {
	names := make(map[string]string)
	if ref.Path != "" {
		names[v1.AnnotationRefName] = ref.Tag
		names[annotationFullName] = ref.Domain + "/" + ref.Path + ":" + ref.Tag
	}
	if name != "" {
		names[v1.AnnotationRefName] = name
		delete(names, annotationFullName)
	}
	return names
}

func (e *export) add(path string, d v1.Descriptor) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	if info.Size() != d.Size {
		file.Close()
		return fmt.Errorf("blob %s has %d bytes, want %d (manifest)", shortID(d.Digest), info.Size(), d.Size)
	}
	e.blobs = append(e.blobs, exportBlob{digest: d.Digest, size: info.Size(), file: file})
	return nil
}

// WriteWhole writes a file outside the store, which has its old or its new content at any time; what a killed command leaves
// is removed by [Store.Settle]. A device or pipe is written in place.
func (s *Store) WriteWhole(path string, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(file), file.Close())
	}
	return s.withExportNote(path, "", func(temp string) error {
		// Other users may write to the directory, and could have put a link there.
		file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		if err = errors.Join(write(file), file.Chmod(0o644), file.Close()); err == nil {
			err = os.Rename(temp, path)
		}
		if err != nil {
			os.Remove(temp)
		}
		return err
	})
}

func (e *export) writeArchive(ctx context.Context, w io.Writer) error {
	out := tar.NewWriter(w)
	index, err := json.Marshal(exportIndex([]v1.Descriptor{e.entry}))
	if err != nil {
		return err
	}
	layout, err := json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return err
	}
	for _, doc := range []struct {
		name string
		data []byte
	}{{v1.ImageLayoutFile, layout}, {v1.ImageIndexFile, index}, {dockerList, e.list}} {
		if err := out.WriteHeader(&tar.Header{Name: doc.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(doc.data))}); err != nil {
			return err
		}
		if _, err := out.Write(doc.data); err != nil {
			return err
		}
	}
	for _, b := range e.distinct() {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := blobName(v1.Descriptor{Digest: b.digest})
		if err := out.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: b.size}); err != nil {
			return err
		}
		if err := copyAll(ctx, out, b.file); err != nil {
			return err
		}
	}
	return out.Close()
}

// copyAll copies a blob in pieces and checks ctx between them. io.CopyN lets the kernel copy between two files.
func copyAll(ctx context.Context, to io.Writer, from io.Reader) error {
	const piece = 8 << 20
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := io.CopyN(to, from, piece)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// distinct returns the blobs without duplicates: an image may have the same layer twice.
func (e *export) distinct() []exportBlob {
	seen := make(map[digest.Digest]bool)
	return slices.DeleteFunc(slices.Clone(e.blobs), func(b exportBlob) bool {
		again := seen[b.digest]
		seen[b.digest] = true
		return again
	})
}

// writeLayout adds the image to a layout directory and creates it if it is missing. The blobs are written first, the
// index last.
func (e *export) writeLayout(ctx context.Context, dir string) error {
	var index v1.Index
	err := state.ReadJSON(filepath.Join(dir, v1.ImageIndexFile), &index)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, v1.ImageBlobsDir), 0o755); err != nil {
		return err
	}
	for _, b := range e.distinct() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeExportBlob(ctx, filepath.Join(dir, blobName(v1.Descriptor{Digest: b.digest})), b); err != nil {
			return err
		}
	}
	name := e.entry.Annotations[v1.AnnotationRefName]
	kept := slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool {
		return d.Annotations[v1.AnnotationRefName] == name
	})
	if err := writePublic(filepath.Join(dir, v1.ImageLayoutFile), v1.ImageLayout{Version: v1.ImageLayoutVersion}); err != nil {
		return err
	}
	return writePublic(filepath.Join(dir, v1.ImageIndexFile), exportIndex(append(kept, e.entry)))
}

func writeExportBlob(ctx context.Context, path string, b exportBlob) error {
	if info, err := os.Stat(path); err == nil && info.Size() == b.size {
		return nil // named by its digest, so it is the same blob
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), state.TempPrefix+b.digest.Encoded())
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if err := errors.Join(copyAll(ctx, out, b.file), out.Close()); err != nil {
		os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return err
	}
	return nil
}

// writePublic writes a document that is readable for all users, unlike those of the store.
func writePublic(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return state.WriteFile(path, append(data, '\n'), 0o644)
}

func exportIndex(entries []v1.Descriptor) v1.Index {
	index := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: entries}
	index.SchemaVersion = 2
	return index
}
