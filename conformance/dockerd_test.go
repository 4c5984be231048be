package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// dockerdLimit is how long a Docker engine in the machine may take for what it
// does in seconds: in software translation on a busy machine, minutes.
const dockerdLimit = 8 * time.Minute

// dockerdCommand runs a Docker engine, which gives a containerd of its own 15
// seconds, where a busy machine may need more.
const dockerdCommand = "containerd --log-level error & until ctr version >/dev/null 2>&1; do sleep 1; done; exec dockerd --containerd /run/containerd/containerd.sock"

// dockerdImage is an image whose entrypoint is a Docker engine, with a local
// image for it: nothing can be pulled.
func dockerdImage(t *testing.T) string {
	t.Helper()
	return initImage(t, "docker", `RUN mkdir -p /local/bin && cp /bin/busybox /local/bin/ && for n in sh hostname httpd; do ln -s busybox /local/bin/$n; done
CMD ["sh", "-c", "`+dockerdCommand+`"]
`)
}

// importLocal makes the image of dockerdImage's programs for the containers in
// the machine.
const importLocal = "tar -C /local -c . | docker import - local >/dev/null"

// engineListens waits until the container's engine has come to listen that often.
func (c *container) engineListens(times int) {
	c.t.Helper()
	within(c.t, dockerdLimit, "the engine in the machine listens", func() bool {
		logs := c.logs().Stderr
		if c.inspect("{{.State.Running}}") != "true" {
			c.t.Fatalf("it has ended: %s", logs)
		}
		return strings.Count(logs, "API listen on /var/run/docker.sock") == times
	})
}

// inside runs a shell's script in the container and returns what it prints.
func (c *container) inside(script string) string {
	c.t.Helper()
	return must(c.t, c.exec("sh", "-ec", script))
}

// httpGet returns the last line of a page that has one or more, as the engine's
// host gets it.
func httpGet(e *harness.Engine, address, path string) (line string, err error) {
	err = e.OnHost(func() error {
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "GET %s HTTP/1.0\r\n\r\n", path)
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			line = lines.Text()
		}
		if line == "" {
			return errors.Join(io.ErrUnexpectedEOF, lines.Err())
		}
		return lines.Err()
	})
	return line, err
}

// TestDockerd runs a Docker engine in the machine: its images are on an ext4
// disk, and the kernel loads what overlay2, bridges, veths and the firewall need.
func TestDockerd(t *testing.T) {
	e := start(t)
	vmOnly(t)
	c := background(t, "--privileged", "--label", "runcvm.profile=docker", "--cpus", "2", dockerdImage(t))
	c.engineListens(1)
	equal(t, "storage", c.inside(`docker info --format '{{.Driver}} {{index .DriverStatus 0}} {{.CgroupVersion}}'; findmnt -no FSTYPE /var/lib/docker`),
		"overlay2 [Backing Filesystem extfs] 1\next4\n")
	c.inside(importLocal)
	c.inside(`docker run --name web --hostname inner --memory 64m --publish 80:80 --detach local sh -c 'echo from $(hostname) > /index.html; httpd -f'`)
	want(t, c.exec("docker", "exec", "web", "sh", "-c", "hostname; echo e >&2; exit 9"), harness.Result{Stdout: "inner\n", Stderr: "e\n", Code: 9})
	for _, module := range []string{"overlay", "bridge", "veth", "nf_tables", "nf_nat"} {
		c.inside("grep -q '^" + module + " ' /proc/modules || { echo the module " + module + " is not loaded >&2; exit 1; }")
	}

	// From outside through the machine's firewall to the container within.
	var page string
	address := c.inspect("{{.NetworkSettings.IPAddress}}") + ":80"
	eventually(t, "a page of the container in the machine", func() bool {
		var err error
		page, err = httpGet(e, address, "/index.html")
		return err == nil
	})
	equal(t, "the page", page, "from inner")

	must(t, docker(t, "stop", "--time", stopLimit, c.name))
	equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "0")
	must(t, docker(t, "start", c.name))
	c.engineListens(2)
	equal(t, "what the disk has kept", c.inside("docker images --format '{{.Repository}}'; docker ps --all --format '{{.Names}}'"), "local\nweb\n")
}
