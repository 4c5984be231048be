package mountinfo

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEach(t *testing.T) {
	const table = `36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue
too short
37 36 0:44 / /merged rw - overlay overlay rw,lowerdir=l/A:l/B,upperdir=/a\040b/diff
38 36 0:45 / /last rw - proc proc
39 36 0:46 / /never rw - proc proc rw
`
	want := []Mount{
		{ID: "36", Device: "98:0", Root: "/mnt1", Point: "/mnt 2", Type: "ext3", Options: []string{"rw", "errors=continue"}},
		{ID: "37", Device: "0:44", Root: "/", Point: "/merged", Type: "overlay", Options: []string{"rw", "lowerdir=l/A:l/B", "upperdir=/a b/diff"}},
		{ID: "38", Device: "0:45", Root: "/", Point: "/last", Type: "proc"},
	}
	var got []Mount
	err := each(strings.NewReader(table), func(m Mount) bool {
		got = append(got, m)
		return m.Point != "/last"
	})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}
