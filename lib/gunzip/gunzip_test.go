package gunzip

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
)

// unzip decompresses all of a stream through buffers of a size.
func unzip(src io.Reader, size int) ([]byte, error) {
	r := NewReader(src)
	var out bytes.Buffer
	for buf := make([]byte, size); ; {
		b, err := r.Fill(buf)
		out.Write(b)
		clear(buf) // what is needed of it, the reader has kept
		if err != nil {
			return out.Bytes(), err
		}
	}
}

func zip(t testing.TB, level int, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	w.Name, w.Comment, w.Extra = "name", "comment", []byte("extra")
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// samples are contents that need different blocks, codes and distances.
func samples() map[string][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 150<<10)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	var words, far []byte
	for range 20000 {
		words = fmt.Appendf(words, "%x ", random.ExpFloat64()*1000)
	}
	for range 4 {
		far = append(far, noise[:Window-7]...)
	}
	skewed := make([]byte, 300<<10) // codes of all lengths
	for i := range skewed {
		skewed[i] = byte(min(random.ExpFloat64()*12, 255))
	}
	return map[string][]byte{
		"empty": nil, "byte": {7}, "noise": noise, "words": words, "far": far, "skewed": skewed,
		"zeros": make([]byte, 300<<10), "pairs": bytes.Repeat([]byte("ab"), 1<<16), "sevens": bytes.Repeat([]byte("abcdefg"), 1<<15),
	}
}

func TestFill(t *testing.T) {
	for name, data := range samples() {
		for _, level := range []int{flate.NoCompression, flate.BestSpeed, flate.BestCompression, flate.HuffmanOnly} {
			z := zip(t, level, data)
			for _, size := range []int{Window + 4<<10, 100 << 10, 1 << 20} {
				got, err := unzip(bytes.NewReader(z), size)
				if err != io.EOF || !bytes.Equal(got, data) {
					t.Errorf("%s, level %d, buffer of %d: %d bytes of %d, %v", name, level, size, len(got), len(data), err)
				}
			}
			two := slices.Concat(z, zip(t, level, []byte("more")))
			got, err := unzip(iotest.HalfReader(bytes.NewReader(two)), 64<<10)
			if err != io.EOF || !bytes.Equal(got, slices.Concat(data, []byte("more"))) {
				t.Errorf("%s, level %d: two members: %d bytes, %v", name, level, len(got), err)
			}
		}
	}
	if _, err := NewReader(bytes.NewReader(nil)).Fill(make([]byte, Window)); err != io.ErrShortBuffer {
		t.Error(err)
	}
}

// A stream that breaks off anywhere is told from one that ends, and a changed bit from none.
func TestDamage(t *testing.T) {
	data := samples()["words"][:2500]
	for _, level := range []int{flate.NoCompression, flate.BestCompression, flate.HuffmanOnly} {
		z := zip(t, level, data)
		for n := range z {
			if got, err := unzip(iotest.OneByteReader(bytes.NewReader(z[:n])), 40<<10); err != io.ErrUnexpectedEOF || !bytes.HasPrefix(data, got) {
				t.Fatalf("level %d, %d of %d bytes: %d bytes, %v", level, n, len(z), len(got), err)
			}
		}
		for i := range z {
			bad := slices.Clone(z)
			bad[i] ^= 1 << (i % 8)
			_, want := gzip.NewReader(bytes.NewReader(bad))
			if want == nil {
				_, want = libraryUnzip(bad)
			}
			if _, err := unzip(bytes.NewReader(bad), 40<<10); (err == io.EOF) != (want == nil) {
				t.Fatalf("level %d, byte %d changed: %v, compress/gzip: %v", level, i, err, want)
			}
		}
	}
	broken := errors.New("the disk is broken")
	if _, err := unzip(io.MultiReader(bytes.NewReader(zip(t, 6, data)[:100]), iotest.ErrReader(broken)), 40<<10); err != broken {
		t.Error(err)
	}
}

func libraryUnzip(z []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(z))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// FuzzAgainstLibrary wants of any input what compress/gzip makes of it: the bytes, and whether it is a stream.
func FuzzAgainstLibrary(f *testing.F) {
	for _, data := range samples() {
		for _, level := range []int{flate.NoCompression, flate.BestCompression, flate.HuffmanOnly} {
			f.Add(zip(f, level, data[:min(len(data), 3000)]), uint16(len(data)))
		}
	}
	f.Fuzz(func(t *testing.T, z []byte, size uint16) {
		want, wantErr := libraryUnzip(z)
		got, err := unzip(bytes.NewReader(z), Window+slack+int(size))
		if (err == io.EOF) != (wantErr == nil) || wantErr == nil && !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v; compress/gzip: %d bytes, %v", len(got), err, len(want), wantErr)
		}
	})
}

func BenchmarkFill(b *testing.B) {
	data := samples()["words"]
	z := zip(b, flate.DefaultCompression, data)
	b.SetBytes(int64(len(data)))
	buf := make([]byte, 512<<10)
	for b.Loop() {
		r := NewReader(bytes.NewReader(z))
		for _, err := r.Fill(buf); err == nil; _, err = r.Fill(buf) {
		}
	}
}
