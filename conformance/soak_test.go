package conformance

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// number reads a positive number from the environment.
func number(t *testing.T, name string, fallback int) int {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		return fallback
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no positive number", name, value)
	}
	return n
}

// TestSoak runs many containers one after another and some at once. None
// fails, and nothing is left of them.
func TestSoak(t *testing.T) {
	e := alone(t)
	before, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("in a row", func(t *testing.T) {
		for i := range number(t, "SOAK_RUNS", 20) {
			soakRun(t, i)
		}
	})
	t.Run("at once", func(t *testing.T) {
		var wg sync.WaitGroup
		for i := range number(t, "SOAK_PARALLEL", 4) {
			wg.Go(func() { soakRun(t, i) })
		}
		wg.Wait()
	})
	nothingLeft(t, before)
}

// soakRun runs a container that reads, writes and returns a code of its own.
// It may run on any goroutine.
func soakRun(t *testing.T, i int) {
	r, err := suite.engine.Docker(t.Context(), nil, "run", "--rm", "--runtime", underTest(), image,
		"sh", "-c", fmt.Sprintf("echo run %d > /srv/f; cat /srv/f; echo err >&2; exit %d", i, i%100))
	want := harness.Result{Stdout: fmt.Sprintf("run %d\n", i), Stderr: "err\n", Code: i % 100}
	if err != nil || r != want {
		t.Errorf("run %d: got %+v, %v, want %+v", i, r, err, want)
	}
}
