// Package units holds the quantities of the profile language.
package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size in bytes.
type Bytes int64

// Binary multiples.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
)

// suffixes are in upper case. K, M, G and T are binary, as they are to Docker
// and to QEMU.
var suffixes = map[string]Bytes{
	"B": 1,
	"K": KiB, "KIB": KiB,
	"M": MiB, "MIB": MiB,
	"G": GiB, "GIB": GiB,
	"T": TiB, "TIB": TiB,
}

// ParseBytes reads a size: a whole number and a unit, "512M", "300MiB", "1G".
// The error is a sentence that says how to write it.
func ParseBytes(s string) (Bytes, error) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	digits, unit := s[:end], s[end:]
	if digits == "" {
		return 0, fmt.Errorf("%q is not a size. Write a whole number and a unit, as in \"512M\" or \"2G\"", s)
	}
	if unit == "" {
		return 0, fmt.Errorf("%q has no unit. Write \"%sM\" for mebibytes or \"%sG\" for gibibytes", s, digits, digits)
	}
	if strings.HasPrefix(unit, ".") || strings.HasPrefix(unit, ",") {
		return 0, fmt.Errorf("%q is not a whole number. Use the next smaller unit, as in \"1536M\" for one and a half gibibytes", s)
	}
	factor, ok := suffixes[strings.ToUpper(unit)]
	if !ok {
		return 0, fmt.Errorf("%q has an unknown unit %q. The units are B, K, M, G and T, or KiB, MiB, GiB and TiB, all of them multiples of 1024", s, unit)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/int64(factor) {
		return 0, fmt.Errorf("%q is more than the largest size, 8388607T", s)
	}
	return Bytes(n) * factor, nil
}

// String gives the shortest exact form that ParseBytes reads.
func (b Bytes) String() string {
	for _, u := range []struct {
		size Bytes
		name string
	}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// WholeMiB is the size in mebibytes, rounded down.
func (b Bytes) WholeMiB() int { return int(b / MiB) }
