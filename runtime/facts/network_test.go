package facts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/runcvm/runcvm/engine/plan"
)

func TestNetworkIsTriedUntilItWorks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can try the network modes")
	}
	dir := t.TempDir()
	works := plan.Usable{Usable: true, Reason: "It works."}
	lacks := plan.Usable{Reason: "It does not."}
	tried, now := 0, lacks
	try := func() (tc, bridge plan.Usable) {
		tried++
		return now, works
	}
	look := func(want plan.Usable, wantTried int) {
		t.Helper()
		tc, bridge := probeNetwork(dir, try)
		if tc != want || bridge != works || tried != wantTried {
			t.Errorf("tc %+v, bridge %+v after %d tries; want %+v after %d", tc, bridge, tried, want, wantTried)
		}
	}
	look(lacks, 1)
	look(lacks, 2)
	now = works
	look(works, 3)
	now = lacks
	look(works, 3) // as was found
	file := filepath.Join(dir, networkFile)
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	look(lacks, 4)
	if err := os.WriteFile(file, []byte(`{"for":{"boot_id":"another"},"tc":{"usable":true}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	look(lacks, 5)
}
