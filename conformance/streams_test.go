package conformance

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// numbers is what seq 1 n prints.
func numbers(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintln(&b, i)
	}
	return b.String()
}

// firstDifference tells where two long texts part.
func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d is %q, want %q", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(a), len(b))
}

func TestHundredThousandLines(t *testing.T) {
	start(t)
	const n = 100_000
	name := newName(t)
	got := must(t, docker(t, "run", "--name", name, "--runtime", underTest(), image, "seq", "1", fmt.Sprint(n)))
	if want := numbers(n); got != want {
		t.Errorf("docker run: %s", firstDifference(got, want))
	}
	r := docker(t, "logs", name)
	if want := numbers(n); r.Stdout != want {
		t.Errorf("docker logs: %s", firstDifference(r.Stdout, want))
	}
	equal(t, "stderr of docker logs", r.Stderr, "")
}

func TestStdinReachesTheEntrypoint(t *testing.T) {
	start(t)
	data := make([]byte, 1<<20)
	_, _ = rand.Read(data)
	r := runIn(t, bytes.NewReader(data), "-i", image, "cat")
	must(t, r)
	equal(t, "sha256 of 1 MiB through cat", sha256.Sum256([]byte(r.Stdout)), sha256.Sum256(data))
}

func TestEndOfInput(t *testing.T) {
	t.Run("no stdin", func(t *testing.T) {
		start(t)
		want(t, run(t, image, "sh", "-c", "wc -c; readlink /proc/self/fd/0 >/dev/null && echo open"),
			harness.Result{Stdout: "0\nopen\n"})
	})
	t.Run("empty stdin", func(t *testing.T) {
		start(t)
		want(t, runIn(t, strings.NewReader(""), "-i", image, "wc", "-c"), harness.Result{Stdout: "0\n"})
	})
	t.Run("end without data while the container waits", func(t *testing.T) {
		start(t)
		r, w := io.Pipe()
		c := make(chan harness.Result)
		go func() { c <- runIn(t, r, "-i", image, "sh", "-c", "cat; echo end") }()
		_ = w.Close()
		want(t, <-c, harness.Result{Stdout: "end\n"})
	})
	t.Run("entrypoint that does not read", func(t *testing.T) {
		start(t)
		want(t, runIn(t, strings.NewReader("unread\n"), "-i", image, "echo", "done"), harness.Result{Stdout: "done\n"})
	})
}

func TestOutputWithoutANewline(t *testing.T) {
	start(t)
	want(t, run(t, image, "sh", "-c", `printf 'a\r\nb\000c'; printf 'tail' >&2`),
		harness.Result{Stdout: "a\r\nb\x00c", Stderr: "tail"})
}
