package conformance

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/conformance/harness"
)

// commandLimit bounds one docker command. A VM boots in seconds; a loaded
// machine may take many times that.
const commandLimit = 3 * time.Minute

// image is what cases run.
const image = harness.Image

// docker runs a docker command and returns what it showed.
func docker(t *testing.T, args ...string) harness.Result {
	t.Helper()
	return dockerIn(t, nil, args...)
}

// dockerIn is docker with standard input.
func dockerIn(t *testing.T, stdin io.Reader, args ...string) harness.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	result, err := suite.engine.Docker(ctx, stdin, args...)
	if err != nil {
		t.Fatalf("%v\ndockerd: %s", err, suite.engine.Log())
	}
	return result
}

// run runs a container to its end on the runtime under test.
func run(t *testing.T, args ...string) harness.Result {
	t.Helper()
	return runIn(t, nil, args...)
}

func runIn(t *testing.T, stdin io.Reader, args ...string) harness.Result {
	t.Helper()
	return runOn(t, underTest(), stdin, args...)
}

func runOn(t *testing.T, runtime string, stdin io.Reader, args ...string) harness.Result {
	t.Helper()
	name := newName(t)
	return dockerIn(t, stdin, append([]string{"run", "--rm", "--name", name, "--runtime", runtime}, args...)...)
}

// must returns standard output of a command that succeeded.
func must(t *testing.T, r harness.Result) string {
	t.Helper()
	if r.Code != 0 {
		t.Fatalf("exit code %d\nstdout: %s\nstderr: %s", r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// want compares a whole result.
func want(t *testing.T, got, want harness.Result) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

// equal compares two values.
func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// same runs one command on runc and on the runtime under test and demands the
// same result of both.
func same(t *testing.T, args ...string) harness.Result {
	t.Helper()
	reference := runOn(t, "runc", nil, args...)
	if reference.Code == 125 {
		t.Fatalf("docker refuses the command: %s", reference.Stderr)
	}
	got := run(t, args...)
	if diff := cmp.Diff(reference, got); diff != "" {
		t.Errorf("docker run %s (-runc +%s):\n%s", strings.Join(args, " "), underTest(), diff)
	}
	return got
}

var names atomic.Int64

// newName makes a container's name and removes the container after the test.
func newName(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("c%d", names.Add(1))
	t.Cleanup(func() { remove(t, "rm", "--force", "--volumes", name) })
	return name
}

// remove runs a docker command that takes something away, in a test's cleanup,
// where the test's context has ended. What is gone, or going, is fine.
func remove(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	r, err := suite.engine.Docker(ctx, nil, args...)
	gone := strings.Contains(r.Stderr, "No such") || strings.Contains(r.Stderr, "already in progress")
	if err != nil || r.Code != 0 && !gone {
		t.Errorf("docker %s: %v %s", strings.Join(args, " "), err, r.Stderr)
	}
}

// container is one that runs in the background.
type container struct {
	t    *testing.T
	name string
}

// background starts a container that the test's end removes.
func background(t *testing.T, args ...string) *container {
	t.Helper()
	return backgroundOn(t, underTest(), args...)
}

func backgroundOn(t *testing.T, runtime string, args ...string) *container {
	t.Helper()
	name := newName(t)
	must(t, docker(t, append([]string{"run", "--detach", "--name", name, "--runtime", runtime}, args...)...))
	return &container{t: t, name: name}
}

// exec runs "docker exec ARGS", where options stand before $: the container's
// name is put in its place.
func (c *container) exec(args ...string) harness.Result {
	c.t.Helper()
	return c.execIn(nil, args...)
}

func (c *container) execIn(stdin io.Reader, args ...string) harness.Result {
	c.t.Helper()
	full := []string{"exec"}
	named := false
	for _, a := range args {
		if a == "$" && !named {
			a, named = c.name, true
		}
		full = append(full, a)
	}
	if !named {
		full = append([]string{"exec", c.name}, args...)
	}
	return dockerIn(c.t, stdin, full...)
}

// logs returns what the container has written.
func (c *container) logs() harness.Result {
	c.t.Helper()
	return docker(c.t, "logs", c.name)
}

// inspect returns a field of the container, by docker's template.
func (c *container) inspect(template string) string {
	c.t.Helper()
	return strings.TrimSpace(must(c.t, docker(c.t, "inspect", "--format", template, c.name)))
}

// wait waits for the container's end and returns its exit code.
func (c *container) wait() string {
	c.t.Helper()
	return strings.TrimSpace(must(c.t, docker(c.t, "wait", c.name)))
}

// eventually polls a condition until it holds. what is for the failure.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	within(t, time.Minute, what, holds)
}

func within(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still not: %s", limit, what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// logged waits until the container's log has a line.
func (c *container) logged(line string) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("a line %q in the log of %s", line, c.name), func() bool {
		r := c.logs()
		return strings.Contains("\n"+r.Stdout+r.Stderr, "\n"+line+"\n")
	})
}
