package gunzip

import "math/bits"

// The alphabets (RFC 1951, 3.2.5 to 3.2.7).
const (
	maxLiterals  = 288
	maxDistances = 32
	endOfBlock   = 256
	maxMatch     = 258
	maxBits      = 15 // of a code
)

// A table is looked up with the next bits of the stream. An entry says
//
//	bits 0-7    how many bits the symbol takes, with its extra bits
//	bits 8-15   how many of them are its code
//	bits 16-30  the literal (to bit 23), or the base of a length (to bit 24) or of a distance
//	bit 31      in the table of lengths and literals: it is a literal
//
// What is special has bit 30 there, and bit 31 in the table of distances: the end of a block, an invalid
// code (nothing else), or a link to a second table: bits 16-27 say where it begins, bits 8-15 how
// many bits it is looked up with, bits 0-7 how many the first took.
const (
	isLiteral       = 1 << 31
	literalSpecial  = 1 << 30
	isEnd           = 1 << 29 // of a block
	distanceSpecial = 1 << 31
	valueShift      = 16
)

// How many bits the first tables are looked up with, and how long a table can get with all its second
// ones (zlib's enough.c counts them: 2342 for 288 symbols of 15 bits and 11, 402 for 32 and 8).
const (
	literalBits  = 11
	distanceBits = 8
	lengthBits   = 7 // no second table: codes of code lengths have no more
)

type (
	literalTable  [4096]uint32
	distanceTable [1024]uint32
)

// What each symbol's entry says but for its code.
var (
	literals    = makeLiterals()
	distances   = makeDistances()
	codeLengths = makeCodeLengths()
)

func makeCodeLengths() (t [19]uint32) {
	for i := range t {
		t[i] = uint32(i) << valueShift
	}
	return t
}

func makeLiterals() (t [maxLiterals]uint32) {
	for i := range t {
		switch {
		case i < endOfBlock:
			t[i] = isLiteral | uint32(i)<<valueShift
		case i == endOfBlock:
			t[i] = literalSpecial | isEnd
		case i < 265:
			t[i] = uint32(i-257+3) << valueShift
		case i < 285:
			extra := uint32(i-261) / 4
			t[i] = (3+(4+uint32(i-261)%4)<<extra)<<valueShift | extra
		case i == 285:
			t[i] = maxMatch << valueShift
		default:
			t[i] = literalSpecial
		}
	}
	return t
}

func makeDistances() (t [maxDistances]uint32) {
	for i := range t {
		switch {
		case i < 4:
			t[i] = uint32(i+1) << valueShift
		case i < 30:
			extra := uint32(i/2 - 1)
			t[i] = ((2+uint32(i)%2)<<extra+1)<<valueShift | extra
		default:
			t[i] = distanceSpecial
		}
	}
	return t
}

// build makes the table of a canonical code (RFC 1951, 3.2.2) and reports whether that is one. symbols
// are the entries without their codes, lengths those of the codes in bits.
func build(table []uint32, tableBits uint, symbols []uint32, lengths []uint8, special uint32) bool {
	next, whole, ok := canonical(lengths)
	if !ok {
		return false
	}
	if !whole {
		for i := range table[:1<<tableBits] {
			table[i] = special
		}
	}
	var long []uint16 // symbols whose codes need a second table
	var codes [maxLiterals]uint32
	var depth [1 << literalBits]uint8 // of the second table behind each entry, in bits
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		length := uint(n)
		code := bits.Reverse32(next[length]) >> (32 - length)
		next[length]++
		if length > tableBits {
			prefix := code & (1<<tableBits - 1)
			depth[prefix] = max(depth[prefix], n-uint8(tableBits))
			codes[symbol] = code
			long = append(long, uint16(symbol))
			continue
		}
		e := entry(symbols[symbol], length, special)
		for i := int(code); i < 1<<tableBits; i += 1 << length {
			table[i] = e
		}
	}
	end := uint32(1) << tableBits
	for _, symbol := range long {
		length := uint(lengths[symbol])
		prefix, rest := codes[symbol]&(1<<tableBits-1), codes[symbol]>>tableBits
		size := uint32(1) << (depth[prefix] & 31)
		if depth[prefix]&0x80 == 0 { // the first behind this prefix
			depth[prefix] |= 0x80
			table[prefix] = special | end<<valueShift | uint32(depth[prefix]&31)<<8 | uint32(tableBits)
			end += size
		}
		start := table[prefix] &^ special >> valueShift
		e := entry(symbols[symbol], length-tableBits, special)
		for i := rest; i < size; i += 1 << (length - tableBits) {
			table[start+i] = e
		}
	}
	return true
}

// entry is a symbol with its code.
func entry(symbol uint32, length uint, special uint32) uint32 {
	if symbol == special {
		return special // invalid, however it is coded
	}
	return symbol + uint32(length) | uint32(length)<<8
}

// canonical returns the first code of each length, whether all codes are used, and whether it is a code
// at all. One that leaves codes unused is taken where others do: when it has none, or one of one bit.
func canonical(lengths []uint8) (next [maxBits + 1]uint32, whole, ok bool) {
	var count [maxBits + 1]uint32
	for _, n := range lengths {
		count[n]++
	}
	used := uint32(len(lengths)) - count[0]
	count[0] = 0
	code := uint32(0)
	for n := 1; n <= maxBits; n++ {
		code = (code + count[n-1]) << 1
		next[n] = code
		if code+count[n] > 1<<n {
			return next, false, false
		}
	}
	whole = code+count[maxBits] == 1<<maxBits
	return next, whole, whole || used == 0 || used == 1 && count[1] == 1
}
