package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weikeit/mydocker/lib/linux"
)

// victim is a directory next to that of a layer, with a file and a directory that no layer may change.
type victim struct {
	dir, file string
	before    string
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{dir: filepath.Join(t.TempDir(), "victim")}
	v.file = filepath.Join(v.dir, "secret")
	if err := os.Mkdir(v.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(v.file, []byte("secret"), 0o640); err != nil {
		t.Fatal(err)
	}
	v.before = v.look(t)
	return v
}

// look describes everything that an attack could change.
func (v *victim) look(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	at, err := linux.OpenDir(v.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	for _, name := range []string{".", "secret"} {
		st, err := at.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		attrs, err := at.Xattrs(name)
		fmt.Fprintf(&b, "%s: %o %d:%d links %d, changed %v, attributes %q, %v\n", name, st.Mode, st.Uid, st.Gid, st.Nlink, st.Mtim, attrs, err)
	}
	content, err := os.ReadFile(v.file)
	fmt.Fprintf(&b, "%q, %v\n", content, err)
	return b.String() + tree(t, v.dir)
}

// TestAttacksWithinALayer unpacks archives that would reach the victim if the unpacker followed links or trusted names.
// Whether they unpack does not matter: files outside must not change, nor appear in the layer.
func TestAttacksWithinALayer(t *testing.T) {
	requireRoot(t)
	attributes := map[string]string{PaxXattr + "trusted.evil": "1", PaxXattr + "user.evil": "1"}
	for name, attack := range map[string]func(v *victim) []entry{
		"file through a link": func(v *victim) []entry { return []entry{symlink("l", v.dir), file("l/new", "evil")} },
		"file through a chain": func(v *victim) []entry {
			return []entry{symlink("a", "b/."), symlink("b", v.dir), file("a/secret", "evil")}
		},
		"file over a link":              func(v *victim) []entry { return []entry{symlink("l", v.file), file("l", "evil")} },
		"file over a link with a slash": func(v *victim) []entry { return []entry{symlink("l", v.dir), dir("l/"), file("l/secret", "evil")} },
		"up": func(v *victim) []entry {
			return []entry{file("../victim/secret", "evil"), file("x/../../victim/new", "evil")}
		},
		"up through a link": func(v *victim) []entry { return []entry{symlink("l", "../victim"), file("l/secret", "evil")} },
		"absolute":          func(v *victim) []entry { return []entry{file(v.file, "evil")} },
		"mode, owner, attributes of a link": func(v *victim) []entry {
			return []entry{{name: "l", link: v.file, kind: tar.TypeSymlink, mode: 0o4777, uid: 4242, pax: attributes},
				{name: "d", link: v.dir, kind: tar.TypeSymlink, mode: 0o4777, uid: 4242, pax: attributes}}
		},
		"directory over a link": func(v *victim) []entry {
			return []entry{symlink("d", v.dir), {name: "d", kind: tar.TypeDir, mode: 0o4777, uid: 4242, pax: attributes}}
		},
		"missing parent over a link": func(v *victim) []entry {
			return []entry{symlink("d", v.dir), {name: "d/e/f", content: "1", mode: 0o4777, uid: 4242, pax: attributes}}
		},
		"hard link out": func(v *victim) []entry {
			return []entry{hardlink("h", v.file), hardlink("i", "../victim/secret"), file("h", "evil")}
		},
		"hard link through a link": func(v *victim) []entry {
			return []entry{symlink("l", v.dir), hardlink("h", "l/secret"), {name: "h", content: "evil", mode: 0o4777}}
		},
		"hard link to a link, then its mode": func(v *victim) []entry {
			return []entry{symlink("l", v.file), hardlink("h", "l"), {name: "h", kind: tar.TypeDir, mode: 0o4777}, file("h/x", "1")}
		},
		"whiteouts through a link": func(v *victim) []entry {
			return []entry{symlink("l", v.dir), file("l/.wh.secret", ""), file("l/.wh..wh..opq", "")}
		},
		"whiteout of the parent": func(v *victim) []entry {
			return []entry{dir("d"), file("d/.wh...", ""), file("d/.wh..", ""), file(".wh.", "")}
		},
		"device through a link": func(v *victim) []entry {
			return []entry{symlink("l", v.dir), {name: "l/null", kind: tar.TypeChar, major: 1, minor: 3}}
		},
		"root is not a directory": func(v *victim) []entry { return []entry{symlink(".", v.dir), file("secret", "evil")} },
		"the root's mode":         func(v *victim) []entry { return []entry{{name: "..", kind: tar.TypeDir, mode: 0o4777, uid: 4242}} },
		"link swapped under a parent in use": func(v *victim) []entry {
			return []entry{dir("d"), file("d/a", "1"), symlink("d", v.dir), file("d/secret", "evil"), file("d/new", "evil")}
		},
		"fd of ours": func(v *victim) []entry {
			return []entry{symlink("l", "/proc/self/fd"), file("l/3", "evil"), symlink("m", "/proc/self/root"+v.dir), file("m/secret", "evil")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVictim(t)
			to := filepath.Join(filepath.Dir(v.dir), "fs")
			if err := os.Mkdir(to, 0o755); err != nil {
				t.Fatal(err)
			}
			err := unpackInto(t, to, tarOf(attack(v)...))
			if got := v.look(t); got != v.before {
				t.Errorf("unpacked with %v, and changed\n%s\nto\n%s", err, v.before, got)
			}
			if got := tree(t, to); strings.Contains(got, "=secret") {
				t.Errorf("host file in layer:\n%s", got)
			}
			if left, _ := os.ReadDir(filepath.Dir(v.dir)); len(left) != 2 {
				t.Errorf("files outside the layer: %v", left)
			}
		})
	}
}

// TestAttacksAcrossLayers unpacks a lower layer with links that the layer above it would follow.
func TestAttacksAcrossLayers(t *testing.T) {
	requireRoot(t)
	for name, c := range map[string]struct {
		low, top func(v *victim) []entry
	}{
		"file through a link below": {
			func(v *victim) []entry { return []entry{symlink("l", v.dir)} },
			func(v *victim) []entry { return []entry{file("l/secret", "evil"), file("l/new", "evil")} }},
		"hard link through a link below": {
			func(v *victim) []entry { return []entry{symlink("l", v.dir), symlink("m", "../../victim")} },
			func(v *victim) []entry { return []entry{hardlink("h", "l/secret")} }},
		"hard link to a link below": {
			func(v *victim) []entry { return []entry{symlink("l", v.file)} },
			func(v *victim) []entry {
				return []entry{hardlink("h", "l"), {name: "h/x", content: "evil", mode: 0o4777}}
			}},
		"hard link to a device below": {
			func(v *victim) []entry { return []entry{{name: "n", kind: tar.TypeChar, major: 1, minor: 3}} },
			func(v *victim) []entry { return []entry{hardlink("h", "n")} }},
		"whiteout through a link below": {
			func(v *victim) []entry { return []entry{symlink("l", v.dir)} },
			func(v *victim) []entry { return []entry{file("l/.wh.secret", "")} }},
		"directory attributes through a link below": {
			func(v *victim) []entry { return []entry{symlink("l", v.dir), symlink("x", "l")} },
			func(v *victim) []entry { return []entry{file("x/y/z", "1"), file("l/y", "1")} }},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVictim(t)
			low, top := filepath.Join(filepath.Dir(v.dir), "low"), filepath.Join(filepath.Dir(v.dir), "top")
			for _, d := range []string{low, top} {
				if err := os.Mkdir(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := unpackInto(t, low, tarOf(c.low(v)...)); err != nil {
				t.Fatal(err)
			}
			below := tree(t, low)
			err := unpackInto(t, top, tarOf(c.top(v)...), low)
			if got := v.look(t); got != v.before {
				t.Errorf("unpacked with %v, and changed\n%s\nto\n%s", err, v.before, got)
			}
			if got := tree(t, low); got != below {
				t.Errorf("the layer below changed from\n%s\nto\n%s", below, got)
			}
			if got := tree(t, top); strings.Contains(got, "=secret") || strings.Contains(got, " Dc") {
				t.Errorf("host file, or device under another name, in layer:\n%s", got)
			}
		})
	}
}

// TestBombs unpacks small archives that would exhaust disk, memory or time.
func TestBombs(t *testing.T) {
	for name, c := range map[string]struct {
		archive func() []byte
		want    string // "" if it unpacks
	}{
		"deep":                            {func() []byte { return tarOf(file(strings.Repeat("d/", 50000)+"f", "1")) }, "name too long"},
		"deep, within what a path may be": {func() []byte { return tarOf(file(strings.Repeat("d/", 1900)+"f", "1")) }, ""},
		"deep step by step": {func() []byte {
			var entries []entry
			for i := 1; i < 300; i++ {
				entries = append(entries, dir(strings.Repeat("ddddddddddddddd/", i)))
			}
			return tarOf(entries...)
		}, "name too long"},
		"endless name": {func() []byte { return tarOf(file(strings.Repeat("x", 900000), "1")) }, "name too long"},
		"endless link": {func() []byte { return tarOf(symlink("l", strings.Repeat("x", 900000))) }, "name too long"},
		"endless header": {func() []byte {
			return withRecords([][2]string{{"a.b", strings.Repeat("x", 2<<20)}})
		}, "too long"},
		"attribute of one gigabyte": {func() []byte {
			return tarOf(entry{name: "a", pax: map[string]string{PaxXattr + "user.x": strings.Repeat("x", 200000)}})
		}, "set user.x"},
		"sparse":                 {func() []byte { return sparse("1000000000000000000", "0,0") }, "no space"},
		"sparse, negative":       {func() []byte { return sparse("-1", "0,0") }, "invalid"},
		"sparse, beyond its end": {func() []byte { return sparse("10", "5,100") }, "invalid"},
		"sparse, overlapping":    {func() []byte { return sparse("100", "0,50,20,10") }, "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			to := t.TempDir()
			err := unpackInto(t, to, c.archive())
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %.300v, want %q", err, c.want)
			}
			if err != nil && len(err.Error()) > 6000 {
				t.Errorf("error has %d bytes", len(err.Error()))
			}
			if err := os.RemoveAll(to); err != nil {
				t.Error(err)
			}
		})
	}
}

// sparse returns an archive with a sparse file in GNU tar's format 0.1, in PAX records.
func sparse(size, sparseMap string) []byte {
	blocks := fmt.Sprint(strings.Count(sparseMap, ",")/2 + 1)
	return withRecords([][2]string{{"GNU.sparse.size", size}, {"GNU.sparse.numblocks", blocks}, {"GNU.sparse.map", sparseMap}, {"GNU.sparse.name", "s"}})
}

// withRecords returns an archive of an empty file with PAX records that archive/tar does not write.
func withRecords(list [][2]string) []byte {
	records := ""
	for _, r := range list {
		line := " " + r[0] + "=" + r[1] + "\n"
		length := len(line)
		for length != len(line)+len(fmt.Sprint(length)) {
			length = len(line) + len(fmt.Sprint(length))
		}
		records += fmt.Sprint(length) + line
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "p", Typeflag: tar.TypeReg, Size: int64(len(records)), Mode: 0o644, Format: tar.FormatUSTAR})
	io.WriteString(w, records)
	w.Flush()
	setType(b.Bytes()[:512], 'x')
	w = tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "s", Typeflag: tar.TypeReg, Mode: 0o644, Uid: os.Geteuid(), Gid: os.Getegid(), Format: tar.FormatUSTAR})
	w.Close()
	return b.Bytes()
}

// setType changes the type of a header and updates its checksum (POSIX pax, "ustar Interchange Format").
func setType(header []byte, kind byte) {
	header[156] = kind
	copy(header[148:156], "        ")
	sum := 0
	for _, c := range header {
		sum += int(c)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// TestSparseFiles checks that holes use no space and that the data around them is right.
func TestSparseFiles(t *testing.T) {
	to := t.TempDir()
	content := make([]byte, 5*chunkSize+17)
	content[2*chunkSize] = 1
	tail := make([]byte, 4*chunkSize)
	if err := unpackInto(t, to, tarOf(file("h", string(content)), file("tail", string(tail)), file("empty", ""))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"h": content, "tail": tail, "empty": nil} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if info, _ := os.Stat(filepath.Join(to, "tail")); info.Sys().(*syscall.Stat_t).Blocks*512 >= int64(len(tail)) {
		t.Errorf("zeros use %d blocks", info.Sys().(*syscall.Stat_t).Blocks)
	}
}

// TestHolesCountAsUsedSpace checks that an archive with many holes fails with ENOSPC, and that cancellation stops it.
func TestHolesCountAsUsedSpace(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	u, err := newUnpacker(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	free, _, err := linux.FreeSpace(u.dir)
	if err != nil {
		t.Fatal(err)
	}
	u.holes = int64(free)
	err = u.extract(bytes.NewReader(tarOf(file("a", ""))))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	u.holes = 0
	stop()
	u.unspent = 1 << 40
	if err := u.extract(bytes.NewReader(tarOf(file("b", string(make([]byte, 2*chunkSize)))))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestHardLinksShareOneCopy checks that several hard links to a file of a lower layer share one copy.
func TestHardLinksShareOneCopy(t *testing.T) {
	low, top := t.TempDir(), t.TempDir()
	if err := unpackInto(t, low, tarOf(file("big", "content"))); err != nil {
		t.Fatal(err)
	}
	var entries []entry
	for i := range 100 {
		entries = append(entries, hardlink(fmt.Sprint("l", i), "big"))
	}
	if err := unpackInto(t, top, tarOf(entries...), low); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(top, "l99")); err != nil || info.Sys().(*syscall.Stat_t).Nlink != 100 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestZstdWindowIsBounded checks that a stream with a window over maxWindow is refused before the allocation.
func TestZstdWindowIsBounded(t *testing.T) {
	archive := tarOf(file("a", strings.Repeat("1", 1<<20)))
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(1<<29))
	if err != nil {
		t.Fatal(err)
	}
	w.Write(archive)
	w.Flush() // so that the header has the window instead of the size
	w.Close()
	if _, err := pullFrom(newStore(t), newFake(t, "x", v1.MediaTypeImageLayerZstd, archive).withLayer(b.Bytes())); err == nil || !strings.Contains(err.Error(), "window") {
		t.Errorf("got %v", err)
	}
}

// withLayer replaces the blob of the first layer.
func (f *fake) withLayer(data []byte) *fake {
	return f.edit(func(m *v1.Manifest) { m.Layers[0] = f.add(m.Layers[0].MediaType, data) })
}

func TestTooManyLayers(t *testing.T) {
	src := newFake(t, "x", v1.MediaTypeImageLayer, tarOf(file("a", "1"))).edit(func(m *v1.Manifest) {
		for len(m.Layers) <= maxLayers {
			m.Layers = append(m.Layers, m.Layers[0])
		}
	})
	if _, err := pullFrom(newStore(t), src); err == nil || !strings.Contains(err.Error(), "overlayfs supports only") {
		t.Errorf("got %v", err)
	}
}

// TestConcurrentUnpacks pulls in two processes, one of which is killed, and checks that the layer is complete.
func TestConcurrentUnpacks(t *testing.T) {
	s := newStore(t)
	src := newFake(t, "x", v1.MediaTypeImageLayerGzip, tarOf(file("a", noise(300000)), file("b", "2")))
	ctx, kill := context.WithCancel(context.Background())
	first := make(chan error, 1)
	src.change = func(n int, data []byte) io.Reader {
		if n > 1 {
			return bytes.NewReader(data)
		}
		hang, _ := io.Pipe()
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(data[:len(data)/2]), hang), hang}
	}
	go func() {
		_, err := Pull(ctx, s, src, PullOptions{}, func(e Event) {
			if e.Status == Downloading {
				kill()
			}
		})
		first <- err
	}()
	<-ctx.Done()
	img := mustPull(t, s, src).Image
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := tree(t, img.LayerDirs()[0]); got != "a="+noise(300000)+"\nb=2\n" {
		t.Errorf("%d bytes", len(got))
	}
	clean(t, s)
}
