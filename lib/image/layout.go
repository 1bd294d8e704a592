package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Prefixes of names that are not in a registry, as in skopeo.
const (
	schemeLayout        = "ocidir:"
	schemeOCIArchive    = "oci-archive:"
	schemeDockerArchive = "docker-archive:"
)

// IsLocal reports whether name is an image layout or an archive, not an image in a registry.
func IsLocal(name string) bool {
	return name == "-" || strings.HasPrefix(name, schemeLayout) || strings.HasPrefix(name, schemeOCIArchive) || strings.HasPrefix(name, schemeDockerArchive)
}

// OpenSource opens a local source:
//
//	ocidir:DIR[:TAG]            OCI image layout
//	oci-archive:FILE[:TAG]      OCI image layout in a tar archive
//	docker-archive:FILE[:NAME]  archive of docker save
//	-                           either kind of archive, from stdin
//
// An archive may be compressed with gzip or zstd. If it is compressed or not seekable, it is first copied to an unlinked
// file in the store's file system. Without TAG, the source must have a single image or one tagged latest.
func (s *Store) OpenSource(ctx context.Context, name string, stdin io.Reader) (Source, error) {
	if rest, ok := strings.CutPrefix(name, schemeLayout); ok {
		dir, tag, err := splitTag(rest)
		if err != nil {
			return nil, err
		}
		return openLayout(layoutDir(dir), filepath.Base(dir), tag)
	}
	if name == "-" {
		return s.openArchive(ctx, stdin, "", "", "")
	}
	for _, scheme := range []string{schemeOCIArchive, schemeDockerArchive} {
		rest, ok := strings.CutPrefix(name, scheme)
		if !ok {
			continue
		}
		file, tag, err := splitTag(rest)
		if err != nil {
			return nil, err
		}
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		return s.openArchive(ctx, f, scheme, filepath.Base(file), tag)
	}
	return nil, fmt.Errorf("open image %.300q: want ocidir:, oci-archive:, docker-archive: or -", name)
}

// splitTag splits PATH[:TAG]. Both may contain colons: PATH is the shortest prefix that exists.
func splitTag(arg string) (file, tag string, err error) {
	for i := 0; i <= len(arg); i++ {
		if i < len(arg) && arg[i] != ':' {
			continue
		}
		if _, err := os.Stat(arg[:i]); err == nil {
			return arg[:i], strings.TrimPrefix(arg[i:], ":"), nil
		}
	}
	return "", "", fmt.Errorf("open %.300q: %w", arg, fs.ErrNotExist)
}

// files gives access to the files of a layout in a directory or an archive.
type files interface {
	// Open opens a regular file by its path in the layout.
	Open(name string) (io.ReadCloser, error)
	Close() error
}

// layoutDir is a layout in a directory.
type layoutDir string

func (d layoutDir) Open(name string) (io.ReadCloser, error) {
	path := filepath.Join(string(d), name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a FIFO would block
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	return os.Open(path)
}

func (layoutDir) Close() error { return nil }

// layout is an image in an OCI image layout.
type layout struct {
	files files
	ref   Reference
	root  v1.Descriptor
}

// annotationFullName has the full name of an image. containerd writes it, and docker since version 25.
const annotationFullName = "io.containerd.image.name"

func openLayout(files files, base, tag string) (Source, error) {
	data, err := readFile(files, v1.ImageIndexFile)
	if err != nil {
		return nil, fmt.Errorf("read image layout: %w", err)
	}
	var index v1.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("read image layout: %s: %w", v1.ImageIndexFile, err)
	}
	if err := checkSizes(index.Manifests); err != nil {
		return nil, fmt.Errorf("read image layout: %s: %w", v1.ImageIndexFile, err)
	}
	d, err := pick(index.Manifests, tag)
	if err != nil {
		return nil, err
	}
	return &layout{files: files, ref: layoutName(d, base), root: d}, nil
}

// pick returns the entry of an index with the tag, full name or digest. Without a tag, it returns the entry tagged
// latest or the only image.
func pick(entries []v1.Descriptor, tag string) (v1.Descriptor, error) {
	var names []string
	for _, d := range entries {
		own, full := d.Annotations[v1.AnnotationRefName], d.Annotations[annotationFullName]
		if tag != "" && (tag == own || tag == full || tag == d.Digest.String()) {
			return d, nil
		}
		if tag == "" && own == defaultTag {
			return d, nil
		}
		if own != "" {
			names = append(names, fmt.Sprintf("%.100q", own))
		}
	}
	switch {
	case len(entries) == 0:
		return v1.Descriptor{}, errors.New("image layout is empty")
	case tag != "":
		return v1.Descriptor{}, fmt.Errorf("image layout has no image %.100q, only %s", tag, strings.Join(names, ", "))
	case len(entries) > 1 && !sameDigest(entries):
		return v1.Descriptor{}, fmt.Errorf("image layout has several images: choose one with PATH:TAG: %s", strings.Join(names, ", "))
	}
	return entries[0], nil
}

// sameDigest reports whether all entries have the same digest.
func sameDigest(entries []v1.Descriptor) bool {
	return !slices.ContainsFunc(entries, func(d v1.Descriptor) bool { return d.Digest != entries[0].Digest })
}

// layoutName returns the name of an image from a layout: the one in the annotations if it is more than a tag, else base,
// the name of the directory or file, with the tag.
func layoutName(d v1.Descriptor, base string) Reference {
	tag := d.Annotations[v1.AnnotationRefName]
	for _, full := range []string{d.Annotations[annotationFullName], tag} {
		if strings.ContainsAny(full, ":/") {
			if ref, err := ParseReference(full); err == nil {
				return ref
			}
		}
	}
	for _, ext := range []string{".gz", ".tgz", ".zst", ".tar", ".oci"} {
		base = strings.TrimSuffix(base, ext)
	}
	if tag != "" {
		base += ":" + tag
	}
	ref, err := ParseReference(strings.ToLower(base))
	if err != nil {
		return Reference{} // no name, only the id
	}
	return ref
}

// Reference implements Source.
func (l *layout) Reference() Reference { return l.ref }

// Root implements Source.
func (l *layout) Root(ctx context.Context) (v1.Descriptor, []byte, error) {
	data, err := l.Manifest(ctx, l.root)
	d := l.root
	d.Annotations = nil
	return d, data, err
}

// Manifest implements Source.
func (l *layout) Manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if err := checkDigest(d.Digest); err != nil {
		return nil, err
	}
	return readFile(l.files, blobName(d))
}

// Blob implements Source.
func (l *layout) Blob(_ context.Context, d v1.Descriptor, offset int64) (io.ReadCloser, error) {
	if err := checkDigest(d.Digest); err != nil {
		return nil, err
	}
	return openAt(l.files, blobName(d), offset)
}

// openAt opens a file and skips offset bytes.
func openAt(f files, name string, offset int64) (io.ReadCloser, error) {
	r, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r, offset); err != nil && err != io.EOF {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close implements Source.
func (l *layout) Close() error { return l.files.Close() }

// blobName requires a digest that passed [checkDigest].
func blobName(d v1.Descriptor) string {
	return path.Join(v1.ImageBlobsDir, d.Digest.Algorithm().String(), d.Digest.Encoded())
}

func readFile(f files, name string) ([]byte, error) {
	r, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readBounded(r)
}
