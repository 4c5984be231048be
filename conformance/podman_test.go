package conformance

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// podman runs podman commands.
type podman struct {
	t *testing.T
	*harness.Podman
}

// newPodman has an image that asks for what the policy denies to images: by its
// label for two CPUs, which is granted, by its variable for a kernel argument.
func newPodman(t *testing.T) podman {
	t.Helper()
	harness.Require(t, harness.PodmanEngine)
	profiles := t.TempDir()
	const policy = `policy "site" {
  label {
    deny = ["kernel.*"]
  }
}
`
	if err := os.WriteFile(filepath.Join(profiles, "policy.hcl"), []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := suite.engine.NewPodman(harness.Installed("--profiles-dir=" + profiles))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	pod := podman{t, p}
	pod.must("import", "--change", `LABEL runcvm.profile={"machine":{"cpus":2}}`, harness.RootfsArchive(), "localhost/labelled")
	pod.must("import", "--change", `ENV RUNCVM_KERNEL_APPEND=asked=image`, harness.RootfsArchive(), "localhost/asking")
	return pod
}

func (p podman) do(args ...string) harness.Result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), commandLimit)
	defer cancel()
	if args[0] == "run" {
		args = append([]string{"run", p.CgroupParent()}, args[1:]...)
	}
	r, err := harness.Run(p.Command(ctx, args...), strings.NewReader(""))
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func (p podman) must(args ...string) string {
	p.t.Helper()
	return must(p.t, p.do(args...))
}

// TestPodman has Podman run machines.
func TestPodman(t *testing.T) {
	start(t)
	vmOnly(t)
	p := newPodman(t)

	want(t, p.do("run", "--rm", "--network", "none", "localhost/labelled", "sh", "-c", "nproc; echo err >&2; exit 3"),
		harness.Result{Stdout: "2\n", Stderr: "err\n", Code: 3})
	const script = "grep -o 'asked=[a-z]*' /proc/cmdline"
	want(t, p.do("run", "--rm", "--network", "none", "--env", "RUNCVM_KERNEL_APPEND=asked=user", "localhost/asking", "sh", "-c", script),
		harness.Result{Stdout: "asked=user\n"})
	r := p.do("run", "--rm", "localhost/asking", "true")
	if r.Code != 126 || !strings.Contains(r.Stderr, `the policy "site" denies "kernel.*"`) || !strings.Contains(r.Stderr, "RUNCVM_KERNEL_APPEND") {
		t.Errorf("what the image asks for: %+v", r)
	}

	// Each network brings a default route, both of one metric.
	p.must("network", "create", "--disable-dns", "one")
	p.must("network", "create", "--disable-dns", "two")
	equal(t, "default routes", p.must("run", "--rm", "--network", "one,two", "localhost/labelled", "grep", "-cP", "^\\S+\t00000000\t", "/proc/net/route"), "2\n")

	id := strings.TrimSpace(p.must("run", "--detach", "--publish", "5077:77", "--volume", t.TempDir()+":/data", "localhost/labelled", "sh", "-c",
		"echo up; exec perl -e '"+greeter+"'"))
	p.must("exec", "--user", "nobody", "--workdir", "/data", id, "sh", "-c", `test "$(id -un) $(pwd)" = "nobody /data"`)
	if r := p.do("exec", id, "sh", "-c", "exit 4"); r.Code != 4 {
		t.Errorf("an exec: %+v", r)
	}
	equal(t, "what the published port answers", p.asks("127.0.0.1:5077"), "hello\n")
	equal(t, "logs", p.must("logs", id), "up\n")
	p.must("stop", id)
	equal(t, "the exit code", p.must("inspect", "--format", "{{.State.ExitCode}}", id), "9\n")
	p.must("start", id)
	p.must("rm", "--force", "--time", "0", id)
}

// greeter listens at port 77, greets whoever comes, and ends with 9 when it is
// told to.
const greeter = `use IO::Socket::INET; $SIG{TERM} = sub { exit 9 };
my $s = IO::Socket::INET->new(Listen => 5, LocalPort => 77) or die;
while (1) { my $c = $s->accept or next; print $c "hello\n"; close $c }`

// asks returns what the host gets from there, when it answers.
func (p podman) asks(address string) (answer string) {
	p.t.Helper()
	eventually(p.t, "an answer at "+address, func() bool {
		err := suite.engine.OnHost(func() error {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return err
			}
			defer conn.Close()
			all, err := io.ReadAll(conn)
			answer = string(all)
			return err
		})
		return err == nil && answer != ""
	})
	return answer
}
