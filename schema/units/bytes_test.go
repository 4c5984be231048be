package units

import (
	"strings"
	"testing"
)

func TestParseBytes(t *testing.T) {
	tests := map[string]struct {
		want Bytes
		err  string // part of the message
	}{
		"512M":                  {512 * MiB, ""},
		"512m":                  {512 * MiB, ""},
		"300MiB":                {300 * MiB, ""},
		"1G":                    {GiB, ""},
		"2TiB":                  {2 * TiB, ""},
		"0B":                    {0, ""},
		"8388607T":              {8388607 * TiB, ""},
		"":                      {0, "is not a size"},
		"M":                     {0, "is not a size"},
		"-1M":                   {0, "is not a size"},
		"512":                   {0, `Write "512M"`},
		"1.5G":                  {0, "not a whole number"},
		"1GB":                   {0, "unknown unit"},
		"1 G":                   {0, "unknown unit"},
		"8388608T":              {0, "more than the largest"},
		"99999999999999999999B": {0, "more than the largest"},
	}
	for in, test := range tests {
		got, err := ParseBytes(in)
		switch {
		case test.err == "" && (err != nil || got != test.want):
			t.Errorf("ParseBytes(%q) = %d, %v; want %d", in, got, err, test.want)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("ParseBytes(%q): error %v lacks %q", in, err, test.err)
		}
	}
}

func FuzzBytesRoundTrip(f *testing.F) {
	for _, n := range []int64{0, 1, 1023, 1024, 1 << 20, 3 << 29, 1 << 40, 1<<63 - 1} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		if n < 0 {
			return
		}
		got, err := ParseBytes(Bytes(n).String())
		if err != nil || got != Bytes(n) {
			t.Errorf("%d is written %s and read %d, %v", n, Bytes(n), got, err)
		}
	})
}
