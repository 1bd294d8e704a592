package image

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Stages of a stream run concurrently and pass chunks to each other. The chunks are small enough to stay in the CPU
// cache (1 to 2 MiB) from one stage to the next.
const (
	chunkSize  = 256 << 10
	chunkCount = 8
)

// filler returns a stream in pieces, each in the buffer of the call. The last piece may come with an error.
type filler interface {
	Fill(buf []byte) ([]byte, error)
}

// fill adapts an io.Reader to filler.
type fill struct{ io.Reader }

// Fill implements filler.
func (f fill) Fill(buf []byte) ([]byte, error) {
	var n int
	var err error
	for n < len(buf) && err == nil {
		var m int
		m, err = f.Read(buf[n:])
		n += m
	}
	return buf[:n], err
}

// maxWindow limits the window of a zstd stream, which determines the decoder's memory. 128 MiB is also the default limit
// of zstd(1), see --long.
const maxWindow = 128 << 20

// ahead reads from a source in its own goroutines, ahead of its reader.
type ahead struct {
	ctx    context.Context
	full   <-chan chunk
	free   chan []byte
	done   chan struct{} // closed when the source is no longer read
	rest   []byte
	buffer []byte // contains rest
	err    error
}

type chunk struct {
	data   []byte
	buffer []byte
	err    error
}

// readAhead returns a reader of src. Each stage runs in its own goroutine and gets every chunk before the reader; an
// error of a stage ends the stream. A caller that does not read to the end must cancel ctx.
func readAhead(ctx context.Context, src filler, stages ...func([]byte) error) *ahead {
	a := &ahead{ctx: ctx, free: make(chan []byte, chunkCount), done: make(chan struct{})}
	for range chunkCount {
		a.free <- nil // allocated on first use: most streams are short
	}
	read := make(chan chunk, chunkCount)
	go a.fill(src, read)
	a.full = read
	for _, stage := range stages {
		a.full = a.pass(a.full, stage)
	}
	return a
}

func (a *ahead) fill(src filler, out chan<- chunk) {
	defer close(a.done)
	for {
		var buffer []byte
		select {
		case buffer = <-a.free:
		case <-a.ctx.Done():
			return
		}
		if buffer == nil {
			buffer = make([]byte, chunkSize)
		}
		data, err := src.Fill(buffer)
		out <- chunk{data, buffer, err} // never blocks: the channel has room for all buffers
		if err != nil {
			return
		}
	}
}

func (a *ahead) pass(in <-chan chunk, stage func([]byte) error) <-chan chunk {
	out := make(chan chunk, chunkCount)
	go func() {
		for {
			select {
			case c := <-in:
				if err := stage(c.data); err != nil {
					c.err = err
				}
				out <- c
				if c.err != nil {
					return
				}
			case <-a.ctx.Done():
				return
			}
		}
	}()
	return out
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		if a.buffer != nil {
			a.free <- a.buffer
			a.buffer = nil
		}
		select {
		case c := <-a.full:
			a.rest, a.buffer, a.err = c.data, c.buffer, c.err
		case <-a.ctx.Done():
			a.err = a.ctx.Err()
		}
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// decompress decompresses r. It detects the format by the first bytes, since the media type is not always right. The
// caller must call closer when done.
func decompress(r io.Reader) (plain filler, closer func(), err error) {
	in := bufio.NewReaderSize(r, chunkSize)
	magic, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case isGzip(magic):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, fmt.Errorf("gzip: %w", err)
		}
		return fill{z}, func() { z.Close() }, nil
	case isZstd(magic):
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return fill{z}, z.Close, nil
	}
	return fill{in}, func() {}, nil
}

// compressed reports whether magic, the start of a file, is that of a format that [decompress] supports.
func compressed(magic []byte) bool { return isGzip(magic) || isZstd(magic) }

// isGzip reports the magic number of gzip (RFC 1952, 2.3.1).
func isGzip(magic []byte) bool { return bytes.HasPrefix(magic, []byte{0x1f, 0x8b}) }

// isZstd reports the magic number of zstd (RFC 8878, 3.1.1), or of a skippable frame (3.1.2).
func isZstd(magic []byte) bool {
	return bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}) ||
		len(magic) == 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:], []byte{0x2a, 0x4d, 0x18})
}
