package net

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPortMasks(t *testing.T) {
	for _, tc := range []struct {
		first, last uint16
		want        []portMask
	}{
		{61184, 61439, []portMask{{0xef00, 0xff00}}},
		{80, 80, []portMask{{80, 0xffff}}},
		{1, 65535, nil},
		{65535, 65535, []portMask{{65535, 0xffff}}},
		{5900, 5999, nil},
		{3, 2, nil},
		{0, 10, nil},
	} {
		masks, err := portMasks(tc.first, tc.last)
		if bad := tc.first == 0 || tc.last < tc.first; bad {
			if err == nil {
				t.Errorf("%d-%d: no error", tc.first, tc.last)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tc.want, masks, cmp.AllowUnexported(portMask{})); tc.want != nil && d != "" {
			t.Errorf("%d-%d: %s", tc.first, tc.last, d)
		}
		for port := range 1 << 16 {
			matches := 0
			for _, m := range masks {
				if uint16(port)&m.mask == m.value {
					matches++
				}
			}
			want := 0
			if port >= int(tc.first) && port <= int(tc.last) {
				want = 1
			}
			if matches != want {
				t.Fatalf("%d-%d: port %d is matched %d times, want %d", tc.first, tc.last, port, matches, want)
			}
		}
	}
}
