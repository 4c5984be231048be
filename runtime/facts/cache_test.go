package facts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/runcvm/runcvm/engine/plan"
)

var testVerdict = Verdict{KVM: plan.KVM{Usable: true, Reason: "KVM works: measured."}, TSCKHz: 2600000}

// counted is a measurement that counts how often it is made.
func counted(n *atomic.Int32, keep bool) func() (Verdict, bool) {
	return func() (Verdict, bool) { n.Add(1); return testVerdict, keep }
}

func TestCacheMeasuresOnce(t *testing.T) {
	dir, key := filepath.Join(t.TempDir(), "runcvm"), identity{BootID: "b", Kernel: "k", Device: "d"}
	var n atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if v := cached(dir, key, counted(&n, true)); v != testVerdict {
				t.Errorf("got %+v", v)
			}
		})
	}
	all.Wait()
	if n.Load() != 1 {
		t.Errorf("measured %d times", n.Load())
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("left in the folder: %v, %v; want the verdict and the lock", left, err)
	}
}

func TestCacheMeasuresAnew(t *testing.T) {
	key := identity{BootID: "b", Kernel: "k", Probe: "p", Device: "d"}
	good, err := json.Marshal(entry{For: key, Verdict: testVerdict})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, content string
		key           identity
		measured      int32
	}{
		{"kept", string(good), key, 0},
		{"another boot", string(good), identity{BootID: "c", Kernel: "k", Probe: "p", Device: "d"}, 1},
		{"another kernel", string(good), identity{BootID: "b", Kernel: "l", Probe: "p", Device: "d"}, 1},
		{"another device", string(good), identity{BootID: "b", Kernel: "k", Probe: "p", Device: "e"}, 1},
		{"another probe", string(good), identity{BootID: "b", Kernel: "k", Probe: "q", Device: "d"}, 1},
		{"empty", "", key, 1},
		{"cut off", string(good[:len(good)/2]), key, 1},
		{"binary", "\x00\xff", key, 1},
		{"without a reason", `{"for":{"boot_id":"b","kernel":"k","probe":"p","device":"d"}}`, key, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, cacheFile), []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
			var n atomic.Int32
			for range 2 { // the second time is from the cache in any case
				if v := cached(dir, tc.key, counted(&n, true)); v != testVerdict {
					t.Errorf("got %+v", v)
				}
			}
			if n.Load() != tc.measured {
				t.Errorf("measured %d times, want %d", n.Load(), tc.measured)
			}
		})
	}
}

func TestCacheKeepsNoPassingError(t *testing.T) {
	dir := t.TempDir()
	var n atomic.Int32
	for range 2 {
		cached(dir, identity{}, counted(&n, false))
	}
	if n.Load() != 2 {
		t.Errorf("measured %d times, want twice", n.Load())
	}
}

func TestCacheThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var n atomic.Int32
	if v := cached(filepath.Join(file, "below"), identity{}, counted(&n, true)); v != testVerdict || n.Load() != 1 {
		t.Errorf("got %+v, measured %d times", v, n.Load())
	}
}
