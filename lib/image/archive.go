package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/interrupt"
	"github.com/weikeit/mydocker/lib/state"
)

// archive gives random access to the files of an uncompressed tar archive.
type archive struct {
	file    *os.File
	entries map[string]span   // regular files by name
	links   map[string]string // targets of symbolic and hard links
}

// span is the position of an entry's content in the archive.
type span struct{ start, size int64 }

// openArchive opens an image archive. scheme selects the kind; "" means either. It takes over in, if that is a file.
func (s *Store) openArchive(ctx context.Context, in io.Reader, scheme, base, tag string) (Source, error) {
	file, err := s.seekable(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	a, err := readArchive(ctx, file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("read archive: %w", err)
	}
	_, isOCI := a.entries[v1.ImageLayoutFile]
	_, isDocker := a.entries[dockerList]
	var src Source
	switch {
	case isOCI && scheme != schemeDockerArchive:
		src, err = openLayout(a, base, tag)
	case isDocker && scheme != schemeOCIArchive:
		src, err = openDocker(a, tag)
	default:
		err = errors.New("read archive: neither an OCI layout nor an archive of docker save")
	}
	if err != nil {
		file.Close()
	}
	return src, err
}

// seekable returns the uncompressed archive as a file with random access. A copy is an unlinked file, which the kernel
// removes with the process.
func (s *Store) seekable(ctx context.Context, in io.Reader) (*os.File, error) {
	file, isFile := in.(*os.File)
	if isFile {
		var magic [4]byte
		if n, err := file.ReadAt(magic[:], 0); err == nil && !compressed(magic[:n]) {
			return file, nil
		}
		defer file.Close()
	}
	if err := os.MkdirAll(s.dir.Images(), 0o700); err != nil {
		return nil, err
	}
	tmp, err := s.unnamed()
	if err != nil {
		return nil, err
	}
	if err := spool(ctx, tmp, interrupt.Reader(in)); err != nil {
		tmp.Close()
		return nil, err
	}
	return tmp, nil
}

// unnamed creates an unlinked temporary file on the file system of the images. The first lock tells the next command if this
// one is killed before the file is unlinked; the second keeps other commands from removing the file, see [Store.Lock].
func (s *Store) unnamed() (*os.File, error) {
	done, err := s.dir.LockObject(pullLock + state.NewID())
	if err != nil {
		return nil, err
	}
	defer done()
	unlock, err := s.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	tmp, err := os.CreateTemp(s.dir.Images(), state.TempPrefix)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(tmp.Name()); err != nil {
		tmp.Close()
		return nil, err
	}
	return tmp, nil
}

// spool copies from, decompressed, to a file.
func spool(ctx context.Context, to io.Writer, from io.Reader) error {
	ctx, stop := context.WithCancel(ctx)
	raw := readAhead(ctx, fill{from})
	plain, closer, err := decompress(raw)
	if err != nil {
		stop()
		return err
	}
	ahead := readAhead(ctx, plain)
	defer func() {
		stop()
		<-ahead.done
		closer()
	}()
	_, err = io.Copy(struct{ io.Writer }{to}, ahead)
	return err
}

// readArchive reads the positions of all files. A later entry replaces an earlier one with the same name.
func readArchive(ctx context.Context, file *os.File) (*archive, error) {
	a := &archive{file: file, entries: make(map[string]span), links: make(map[string]string)}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	r := tar.NewReader(file)
	for ctx.Err() == nil {
		h, err := r.Next()
		if err == io.EOF {
			return a, nil
		}
		if err != nil {
			return nil, err
		}
		name := cleanName(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			start, err := file.Seek(0, io.SeekCurrent) // tar.Reader does not read past the header
			if err != nil {
				return nil, err
			}
			a.entries[name] = span{start, h.Size}
		case tar.TypeSymlink:
			a.links[name] = cleanName(path.Join(path.Dir(name), h.Linkname))
		case tar.TypeLink:
			a.links[name] = cleanName(h.Linkname)
		}
	}
	return nil, ctx.Err()
}

// cleanName normalizes a name for use as a map key. The result is never used as a path.
func cleanName(name string) string { return path.Clean("/" + name)[1:] }

// find returns the position of a file. It follows links in the archive, by which images share layers.
func (a *archive) find(name string) (span, bool) {
	name = cleanName(name)
	for range 10 {
		if s, ok := a.entries[name]; ok {
			return s, true
		}
		name = a.links[name]
	}
	return span{}, false
}

// Open implements files.
func (a *archive) Open(name string) (io.ReadCloser, error) {
	s, ok := a.find(name)
	if !ok {
		return nil, fmt.Errorf("read archive: %.300q: %w", name, fs.ErrNotExist)
	}
	return io.NopCloser(io.NewSectionReader(a.file, s.start, s.size)), nil
}

// Close implements files.
func (a *archive) Close() error { return a.file.Close() }
