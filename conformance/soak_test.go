package conformance

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// soakWorkers is how many containers run side by side while many run one after
// another: about what two processors can do.
const soakWorkers = 2

// spareDescriptors is how many more open files the engine's daemons may have after
// many containers: they open some for a while.
const spareDescriptors = 10

// TestSoak runs many containers, two at a time, and some more at once. None
// fails, and nothing is left of them: not more open files in the engine either.
func TestSoak(t *testing.T) {
	e := alone(t)
	before, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("in a row", func(t *testing.T) {
		runs := number(t, "SOAK_RUNS", 20)
		first := max(1, runs/10)
		soakRuns(t, 0, first)
		early := descriptors(t)
		soakRuns(t, first, runs)
		late := 0
		eventually(t, "the engine's open files are about as many as before", func() bool {
			late = descriptors(t)
			return late <= early+spareDescriptors
		})
		t.Logf("open files of the engine: %d after %d runs, %d after %d", early, first, late, runs)
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

// descriptors counts the engine's open files.
func descriptors(t *testing.T) int {
	t.Helper()
	n, err := suite.engine.Descriptors()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// soakRuns runs the containers of these numbers, but for the last.
func soakRuns(t *testing.T, first, end int) {
	start := time.Now()
	var next atomic.Int64
	next.Store(int64(first))
	var wg sync.WaitGroup
	for range soakWorkers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < end; i = int(next.Add(1)) - 1 {
				soakRun(t, i)
			}
		})
	}
	wg.Wait()
	t.Logf("%d runs took %s", end-first, time.Since(start).Round(time.Second))
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

// TestExecChurn runs programs in a container for a while, some at a time and in every
// manner, and sees that the machine and what serves it are as they were: processes,
// mounts, descriptors on the host, processes in the guest.
func TestExecChurn(t *testing.T) {
	alone(t)
	vmOnly(t)
	// An init takes up what outlives an exec: on a slow machine, the one in the
	// background of churnOnce does.
	c := background(t, "--init", image, "sh", "-c", "echo up; exec sleep infinity")
	c.logged("up")
	churn := func(until time.Time) (runs int) {
		var wg sync.WaitGroup
		var count atomic.Int64
		for worker := range manners {
			wg.Go(func() {
				for i := worker; !t.Failed() && time.Now().Before(until); i++ {
					churnOnce(t, c.name, i)
					count.Add(1)
				}
			})
		}
		wg.Wait()
		return int(count.Load())
	}
	length, err := time.ParseDuration(cmp.Or(os.Getenv("SOAK_CHURN"), "5s"))
	if err != nil {
		t.Fatal(err)
	}
	for manner := range manners {
		churnOnce(t, c.name, manner)
	}
	churn(time.Now().Add(length / 5))
	before := c.burden()
	runs := churn(time.Now().Add(length))
	t.Logf("%d execs: %v", runs, before)
	var late string
	defer func() {
		if t.Failed() {
			t.Log(late)
		}
	}()
	eventually(t, "nothing of the execs is left", func() bool {
		now := c.burden()
		for what, n := range now {
			if n > before[what] {
				late = fmt.Sprintf("%s: %d, before %d", what, n, before[what])
				return false
			}
		}
		return true
	})
}

// manners is how many there are.
const manners = 4

// churnOnce runs a program in a container, in the manner of i. It may run on any
// goroutine.
func churnOnce(t *testing.T, name string, i int) {
	words := fmt.Sprintf("run %d", i)
	var stdin io.Reader
	var want harness.Result
	args := []string{"exec"}
	switch i % manners {
	case 0:
		args, want.Code = append(args, name, "sh", "-c", fmt.Sprintf("exit %d", i%100)), i%100
	case 1:
		args, stdin, want.Stdout = append(args, "--interactive", name, "cat"), strings.NewReader(words), words
	case 2:
		args, want.Stdout = append(args, "--tty", "--env", "W="+words, name, "printenv", "W"), words+"\r\n"
	case 3:
		args = append(args, "--detach", "--user", "1000", name, "sh", "-c", "sleep 0.1 & sleep 0.2")
	}
	r, err := suite.engine.Docker(t.Context(), stdin, args...)
	if err != nil || r != want {
		t.Errorf("%v: got %+v, %v, want %+v", args, r, err, want)
	}
}

// burden counts what a running container has on the host and in its machine.
func (c *container) burden() map[string]int {
	c.t.Helper()
	supervisor, err := strconv.Atoi(c.inspect("{{.State.Pid}}"))
	if err != nil {
		c.t.Fatal(err)
	}
	left, err := suite.engine.Snapshot()
	if err != nil {
		c.t.Fatal(err)
	}
	found := map[string]int{"things on the host": len(left), "processes in the container": len(c.top())}
	pids := map[string]int{"the supervisor": supervisor}
	for _, name := range []string{"virtiofsd", "qemu-system"} {
		pid, ok := descendant(supervisor, name)
		if !ok {
			c.t.Fatalf("no %s below %d", name, supervisor)
		}
		pids[name] = pid
	}
	for name, pid := range pids {
		open, err := harness.OpenFiles(pid)
		if err != nil {
			c.t.Fatal(err)
		}
		found["descriptors of "+name] = open
	}
	return found
}
