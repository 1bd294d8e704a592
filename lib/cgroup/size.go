package cgroup

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, or [Unlimited].
type Size int64

// Unlimited means no limit.
const Unlimited Size = -1

const sizeUnits = "kmgtp" // each 1024 times the one before

// UnmarshalText parses 512000000, 512m, 1.5g, 512MiB, 64kb or -1. Units are powers of 1024, in upper or lower case.
func (s *Size) UnmarshalText(text []byte) error {
	word := string(text)
	if word == "-1" {
		*s = Unlimited
		return nil
	}
	malformed := fmt.Errorf("size %.40q: want bytes such as 512000000, 512m, 1.5g or 512MiB, or -1 for no limit", word)
	digits := strings.TrimRight(word, "KMGTPIBkmgtpib")
	factor, ok := sizeFactor(strings.ToLower(word[len(digits):]))
	if !ok || strings.Trim(digits, "0123456789.") != "" {
		return malformed
	}
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil && n <= math.MaxInt64/factor {
		*s = Size(n * factor)
		return nil
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return malformed
	}
	if f *= float64(factor); f >= math.MaxInt64 {
		return fmt.Errorf("size %.40q: more than 8 EiB", word)
	}
	*s = Size(f)
	return nil
}

// sizeFactor returns the number of bytes of a unit: "", b, k, kb, kib and so on.
func sizeFactor(unit string) (int64, bool) {
	if unit == "" || unit == "b" {
		return 1, true
	}
	i := strings.IndexByte(sizeUnits, unit[0])
	if i < 0 || (unit[1:] != "" && unit[1:] != "b" && unit[1:] != "ib") {
		return 0, false
	}
	return 1 << (10 * (i + 1)), true
}

// MarshalText formats the size in bytes, so that UnmarshalText restores it exactly.
func (s Size) MarshalText() ([]byte, error) {
	return strconv.AppendInt(nil, int64(s), 10), nil
}
