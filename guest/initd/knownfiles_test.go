package initd

import (
	"testing"
	"time"
)

func TestKnownFiles(t *testing.T) {
	const table = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs>\n" +
		"fuse_request         12     26    152   26    1 : tunables    0    0    0\n" +
		"fuse_inode          3059   3078    832   19    4 : tunables    0    0    0\n"
	if n, err := parseKnownFiles([]byte(table)); n != 3059 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	for _, bad := range []string{"", "slabinfo\nxfuse_inode 5 5\n", "slabinfo\nfuse_inode x\n"} {
		if n, err := parseKnownFiles([]byte(bad)); err == nil {
			t.Errorf("%q: got %d", bad, n)
		}
	}
}

func TestUntilKnown(t *testing.T) {
	for _, k := range []struct {
		known, others, limit uint64
		want                 time.Duration
	}{
		{0, 15_000, 15_000, 750 * time.Millisecond},
		{0, 1 << 40, 1 << 40, countSeldomEvery},
		{14_999, 15_000, 15_000, countOftenEvery},
		{16_000, 15_000, 15_000, countOftenEvery},
		{799, 800, 800, 10 * time.Millisecond},
		{900, 800, 800, 10 * time.Millisecond},
	} {
		if got := untilKnown(k.known, k.others, k.limit); got != k.want {
			t.Errorf("%d of %d: %s, want %s", k.known, k.others, got, k.want)
		}
	}
}
