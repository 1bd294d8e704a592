package gunzip

import "encoding/binary"

// decode decodes symbols until the block ends, the buffer is full or the source has to be asked again.
//
// One turn takes at most three literals, or up to two of them and a match: with the 56 bits that there
// are at its start, and again after the length, no symbol runs out of them.
func (r *Reader) decode(o *output) error {
	for r.pos+16 > r.limit() {
		if r.atEnd {
			return r.short()
		}
		r.load()
	}
	in := r.in[:r.limit()]
	out, at, full := o.buf, o.pos, len(o.buf)-slack
	pos, bits, count := r.pos, r.bits, r.count
	broken := false
	for pos <= len(in)-16 && at <= full {
		bits |= binary.LittleEndian.Uint64(in[pos:]) << (count & 63)
		pos += int(63-count) >> 3
		count |= 56
		e := r.lit[bits&(1<<literalBits-1)]
		if e&isLiteral != 0 {
			out[at] = byte(e >> valueShift)
			at++
			bits >>= e & 63
			count -= uint(e & 63)
			e = r.lit[bits&(1<<literalBits-1)]
			if e&isLiteral != 0 {
				out[at] = byte(e >> valueShift)
				at++
				bits >>= e & 63
				count -= uint(e & 63)
				e = r.lit[bits&(1<<literalBits-1)]
				if e&isLiteral != 0 {
					out[at] = byte(e >> valueShift)
					at++
					bits >>= e & 63
					count -= uint(e & 63)
					continue
				}
			}
		}
		if e&literalSpecial != 0 {
			if e&isEnd == 0 && e&0xff != 0 { // a link
				bits >>= e & 63
				count -= uint(e & 63)
				e = r.lit[(uint64(e>>valueShift)+bits&mask(e>>8))&uint64(len(r.lit)-1)]
			}
			if e&isLiteral != 0 {
				out[at] = byte(e >> valueShift)
				at++
				bits >>= e & 63
				count -= uint(e & 63)
				continue
			}
			if e&isEnd != 0 {
				bits >>= e & 63
				count -= uint(e & 63)
				r.step = atBlock
				break
			}
			if e&literalSpecial != 0 {
				broken = true
				break
			}
		}
		length := int(e>>valueShift&0x1ff) + int(bits&mask(e)>>(e>>8&63))
		bits >>= e & 63
		count -= uint(e & 63)

		bits |= binary.LittleEndian.Uint64(in[pos:]) << (count & 63)
		pos += int(63-count) >> 3
		count |= 56
		d := r.dist[bits&(1<<distanceBits-1)]
		if d&distanceSpecial != 0 {
			if d&0xff != 0 {
				bits >>= d & 63
				count -= uint(d & 63)
				d = r.dist[(uint64(d>>valueShift)+bits&mask(d>>8))&uint64(len(r.dist)-1)]
			}
			if d&distanceSpecial != 0 {
				broken = true
				break
			}
		}
		distance := int(d>>valueShift) + int(bits&mask(d)>>(d>>8&63))
		bits >>= d & 63
		count -= uint(d & 63)
		if distance > at-o.base {
			broken = true
			break
		}
		copyMatch(out, at, distance, length)
		at += length
	}
	o.pos, r.pos, r.bits, r.count = at, pos, bits, count
	switch {
	case r.overrun():
		return r.short()
	case broken:
		return r.corrupt()
	}
	return nil
}

// mask returns n ones; only six bits of n count.
func mask(n uint32) uint64 { return 1<<(n&63) - 1 }

// copyMatch copies what stands distance before at. It may write past the end of the match, by less than
// slack has room for.
func copyMatch(out []byte, at, distance, length int) {
	from, end := at-distance, at+length
	switch {
	case distance >= 8:
		for at < end {
			binary.LittleEndian.PutUint64(out[at:], binary.LittleEndian.Uint64(out[from:]))
			at += 8
			from += 8
		}
	case distance == 1:
		v := uint64(out[from]) * 0x0101010101010101
		for at < end {
			binary.LittleEndian.PutUint64(out[at:], v)
			at += 8
		}
	default:
		for ; at < end; at++ {
			out[at] = out[at-distance]
		}
	}
}

// fixedTables sets the codes that are the same for all (RFC 1951, 3.2.6).
func (r *Reader) fixedTables() error {
	if r.fixed {
		return nil
	}
	r.fixed = true
	lit, dist := r.lengths[:maxLiterals], r.lengths[maxLiterals:]
	for i := range lit {
		switch {
		case i < 144, i >= 280:
			lit[i] = 8
		case i < 256:
			lit[i] = 9
		default:
			lit[i] = 7
		}
	}
	for i := range dist {
		dist[i] = 5
	}
	return r.tables(lit, dist)
}

// dynamicTables reads the codes of a block (RFC 1951, 3.2.7).
func (r *Reader) dynamicTables() error {
	r.fixed = false
	head, err := r.take(14)
	if err != nil {
		return err
	}
	lit, dist, codes := int(head&31)+257, int(head>>5&31)+1, int(head>>10)+4
	if lit > 286 || dist > 30 {
		return r.corrupt()
	}
	var lengths [19]uint8
	order := [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	for _, i := range order[:codes] {
		n, err := r.take(3)
		if err != nil {
			return err
		}
		lengths[i] = uint8(n)
	}
	var table [1 << lengthBits]uint32
	if !build(table[:], lengthBits, codeLengths[:], lengths[:], literalSpecial) {
		return r.corrupt()
	}
	if err := r.readLengths(&table, r.lengths[:lit+dist]); err != nil {
		return err
	}
	return r.tables(r.lengths[:lit], r.lengths[lit:lit+dist])
}

// readLengths reads the lengths of the codes, which are coded themselves.
func (r *Reader) readLengths(table *[1 << lengthBits]uint32, lengths []uint8) error {
	for i := 0; i < len(lengths); {
		r.refill()
		e := table[r.bits&mask(lengthBits)]
		if e&literalSpecial != 0 {
			return r.corrupt()
		}
		if _, err := r.take(uint(e & 0xff)); err != nil {
			return err
		}
		symbol := e >> valueShift
		if symbol < 16 {
			lengths[i] = uint8(symbol)
			i++
			continue
		}
		repeat := [3]struct{ bits, base uint }{{2, 3}, {3, 3}, {7, 11}}[symbol-16]
		n, err := r.take(repeat.bits)
		if err != nil {
			return err
		}
		value := uint8(0)
		if symbol == 16 {
			if i == 0 {
				return r.corrupt()
			}
			value = lengths[i-1]
		}
		n += repeat.base
		if int(n) > len(lengths)-i {
			return r.corrupt()
		}
		for range n {
			lengths[i] = value
			i++
		}
	}
	return nil
}

func (r *Reader) tables(lit, dist []uint8) error {
	if !build(r.lit[:], literalBits, literals[:], lit, literalSpecial) || !build(r.dist[:], distanceBits, distances[:], dist, distanceSpecial) {
		return r.corrupt()
	}
	return nil
}
