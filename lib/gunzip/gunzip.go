// Package gunzip decompresses gzip (RFC 1952) faster than the libraries that are to be had for Go, because
// the layers of an image are little else, and one stream cannot be shared out to several processors.
//
// What makes the difference: a table look-up decides about up to 11 bits at once (huffman.go), the input is
// taken eight bytes at a time, and what comes out is written straight into a buffer of the caller's, whose
// front holds the bytes before it that a stream may refer to. Nothing is copied a second time.
//
// The layer of 460 MB in the test bed's mysql takes, on one processor, with all of it hashed by CRC-32:
//
//	gzip -dc             2.0 s
//	compress/gzip        2.0 s
//	klauspost/compress   1.4 s
//	this                 0.8 s
//
// FuzzAgainstLibrary holds it to compress/gzip.
package gunzip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Window is how far back a stream may refer, in bytes (RFC 1951, 2).
const Window = 32 << 10

const (
	inputSize = 128 << 10
	// Zeros behind the last byte of the input, so that eight bytes can be loaded wherever it ends. What was
	// decoded of them is noticed, and no part of a stream.
	padding = 64
	// Room that a buffer must have for one more symbol: the longest match, and what is written past it.
	slack = maxMatch + 16
)

// Reader decompresses a stream of gzip members.
type Reader struct {
	src io.Reader
	err error // what the next call returns

	in    []byte // inputSize and padding
	pos   int    // in in, of the next byte to load
	end   int    // of what in holds
	taken int64  // bytes that came before in
	atEnd bool   // the source has no more: zeros follow end
	bits  uint64 // loaded and not used yet, the next one lowest
	count uint   // how many

	step      step
	final     bool // the block is the member's last
	stored    int  // bytes that are left of a stored block
	lit       literalTable
	dist      distanceTable
	fixed     bool // the tables are those of fixed codes
	lengths   [maxLiterals + maxDistances]uint8
	started   bool // there was a member
	crc, size uint32
	history   []byte // the last bytes of the member, at most Window
}

// step is what a stream goes on with.
type step int

const (
	atMember step = iota
	atBlock
	inStored
	inCodes
	atTrailer
)

// NewReader returns a reader of the stream that src holds. It reads ahead.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, in: make([]byte, inputSize+padding), history: make([]byte, 0, Window)}
}

// Fill decompresses into buf, which must be longer than [Window] by at least 1 KiB, and returns the part of
// it that is the next piece of the stream; or no piece, and io.EOF at the end of the stream. The rest of
// buf is written to as well.
func (r *Reader) Fill(buf []byte) ([]byte, error) {
	if len(buf) < Window+slack {
		return nil, io.ErrShortBuffer
	}
	if r.err != nil {
		return nil, r.err
	}
	out := output{buf: buf, pos: copy(buf, r.history)}
	out.hashed = out.pos
	start := out.pos
	for r.err == nil && out.room() {
		r.err = r.next(&out)
	}
	if r.err != nil && r.err != io.EOF {
		return nil, r.err // what came before may have been made of the zeros behind the end
	}
	r.sum(&out)
	r.history = append(r.history[:0], buf[max(out.base, out.pos-Window):out.pos]...)
	if out.pos == start {
		return nil, r.err
	}
	return buf[start:out.pos], nil
}

// output is a buffer that is being filled.
type output struct {
	buf    []byte
	base   int // where the member starts that is being read: nothing refers to what is before
	pos    int
	hashed int // up to where the checksum knows it
}

func (o *output) room() bool { return o.pos <= len(o.buf)-slack }

func (r *Reader) sum(o *output) {
	r.crc = crc32.Update(r.crc, crc32.IEEETable, o.buf[o.hashed:o.pos])
	r.size += uint32(o.pos - o.hashed)
	o.hashed = o.pos
}

// next goes on until the step is done or the buffer is full.
func (r *Reader) next(o *output) error {
	switch r.step {
	case atMember:
		return r.member(o)
	case atBlock:
		return r.block()
	case inStored:
		return r.copyStored(o)
	case inCodes:
		return r.decode(o)
	}
	return r.trailer(o)
}

// Flags of a member's header (RFC 1952, 2.3.1). The lowest, "probably text", means nothing here.
const (
	flagHeaderCRC = 1 << (iota + 1)
	flagExtra
	flagName
	flagComment
)

// maxText bounds the name and the comment of a member, which nobody looks at, as compress/gzip does.
const maxText = 511

var errHeader = errors.New("gzip: invalid header")

// member reads the header of a member.
func (r *Reader) member(o *output) error {
	if r.started && !r.more() {
		return io.EOF
	}
	sum := crc32.NewIEEE()
	read := func(b []byte) error {
		err := r.bytes(b)
		sum.Write(b)
		return err
	}
	var h [10]byte
	if err := read(h[:]); err != nil {
		return err
	}
	if h[0] != 0x1f || h[1] != 0x8b || h[2] != 8 {
		return errHeader
	}
	if err := skipFields(h[3], read); err != nil {
		return err
	}
	if h[3]&flagHeaderCRC != 0 {
		want := uint16(sum.Sum32())
		if err := read(h[:2]); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(h[:]) != want {
			return errHeader
		}
	}
	r.sum(o)
	o.base = o.pos
	r.crc, r.size, r.started, r.step = 0, 0, true, atBlock
	return nil
}

// skipFields reads the fields of a header that may be there.
func skipFields(flags byte, read func([]byte) error) error {
	var b [2]byte
	if flags&flagExtra != 0 {
		if err := read(b[:]); err != nil {
			return err
		}
		if err := read(make([]byte, binary.LittleEndian.Uint16(b[:]))); err != nil {
			return err
		}
	}
	for _, flag := range []byte{flagName, flagComment} {
		b[0] = flags & flag
		for n := 0; b[0] != 0; n++ {
			if n > maxText {
				return errHeader
			}
			if err := read(b[:1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// trailer checks a member against what stands at its end.
func (r *Reader) trailer(o *output) error {
	r.sum(o)
	r.align()
	var b [8]byte
	if err := r.bytes(b[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b[:]) != r.crc || binary.LittleEndian.Uint32(b[4:]) != r.size {
		return errors.New("gzip: wrong checksum")
	}
	r.step = atMember
	return nil
}

// block reads the header of a block (RFC 1951, 3.2.3).
func (r *Reader) block() error {
	if r.final {
		r.final, r.step = false, atTrailer
		return nil
	}
	head, err := r.take(3)
	if err != nil {
		return err
	}
	r.final = head&1 != 0
	switch head >> 1 {
	case 0:
		r.step = inStored
		return r.storedHeader()
	case 1:
		r.step = inCodes
		return r.fixedTables()
	case 2:
		r.step = inCodes
		return r.dynamicTables()
	}
	return r.corrupt()
}

func (r *Reader) storedHeader() error {
	r.align()
	var b [4]byte
	if err := r.bytes(b[:]); err != nil {
		return err
	}
	r.stored = int(binary.LittleEndian.Uint16(b[:]))
	if uint16(r.stored) != ^binary.LittleEndian.Uint16(b[2:]) {
		return r.corrupt()
	}
	return nil
}

func (r *Reader) copyStored(o *output) error {
	for r.stored > 0 && o.room() {
		if !r.more() {
			return r.short()
		}
		n := copy(o.buf[o.pos:min(o.pos+r.stored, len(o.buf))], r.in[r.pos:r.end])
		r.pos, r.stored, o.pos = r.pos+n, r.stored-n, o.pos+n
	}
	if r.stored == 0 {
		r.step = atBlock
	}
	return nil
}

func (r *Reader) corrupt() error {
	if r.overrun() {
		return r.short()
	}
	return fmt.Errorf("gzip: the data is broken at byte %d", r.taken+int64(r.pos))
}

// short is the error of a stream that ends too early, or that cannot be read.
func (r *Reader) short() error {
	if r.err != nil {
		return r.err
	}
	return io.ErrUnexpectedEOF
}
