package gunzip

import (
	"encoding/binary"
	"io"
)

// load reads more of the source behind what is not decoded yet, the whole bytes in bits included: align
// may give them back. At its end it puts zeros there, once.
func (r *Reader) load() {
	keep := int(r.count >> 3)
	done := r.pos - keep
	r.taken += int64(done)
	r.end = copy(r.in, r.in[done:r.end])
	r.pos = keep
	for tries := 0; r.end < inputSize && !r.atEnd; tries++ {
		n, err := r.src.Read(r.in[r.end:inputSize])
		r.end += n
		switch {
		case err == io.EOF:
			r.atEnd = true
		case err != nil:
			r.atEnd, r.err = true, err
		case n == 0 && tries < 100:
			continue
		case n == 0:
			r.atEnd, r.err = true, io.ErrNoProgress
		}
		if n > 0 {
			break
		}
	}
	if r.atEnd {
		clear(r.in[r.end : r.end+padding])
	}
}

// limit is up to where eight bytes may be loaded.
func (r *Reader) limit() int {
	if r.atEnd {
		return r.end + padding
	}
	return r.end
}

// refill makes sure that there are 56 bits, or all that are left with zeros behind.
func (r *Reader) refill() {
	for r.pos+8 > r.limit() && !r.atEnd {
		r.load()
	}
	if r.pos+8 > r.limit() {
		return // far behind the end: whoever uses the bits finds out
	}
	r.bits |= binary.LittleEndian.Uint64(r.in[r.pos:]) << (r.count & 63)
	r.pos += int(63-r.count) >> 3
	r.count |= 56
}

// overrun reports whether bits were used that the source does not have.
func (r *Reader) overrun() bool { return r.atEnd && r.pos-int(r.count>>3) > r.end }

// take returns the next n bits, at most 16.
func (r *Reader) take(n uint) (uint, error) {
	if r.count < n {
		r.refill()
	}
	if r.count < n {
		return 0, r.short()
	}
	v := uint(r.bits) & (1<<n - 1)
	r.bits >>= n & 63
	r.count -= n
	if r.overrun() {
		return 0, r.short()
	}
	return v, nil
}

// align goes to the next whole byte, and gives back the bytes that are loaded.
func (r *Reader) align() {
	r.pos -= int(r.count >> 3)
	r.bits, r.count = 0, 0
}

// more reports whether there are bytes left. It wants the input aligned.
func (r *Reader) more() bool {
	for r.pos >= r.end && !r.atEnd {
		r.load()
	}
	return r.pos < r.end
}

// bytes reads whole bytes. It wants the input aligned.
func (r *Reader) bytes(b []byte) error {
	for len(b) > 0 {
		if !r.more() {
			return r.short()
		}
		n := copy(b, r.in[r.pos:r.end])
		b, r.pos = b[n:], r.pos+n
	}
	return nil
}
