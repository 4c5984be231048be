package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Result is what a command showed to the one who ran it.
type Result struct {
	Stdout string
	Stderr string
	Code   int // the exit code
}

// DockerCommand prepares a docker command that speaks to this engine.
func (e *Engine) DockerCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(cmd.Environ(), "DOCKER_HOST="+e.Socket(), "DOCKER_BUILDKIT=0",
		"DOCKER_CONFIG="+e.path("docker-config"), "DOCKER_CLI_HINTS=false")
	return cmd
}

// Docker runs a docker command. A command that ran returns its Result whatever
// its exit code; the error is for one that could not run or exceeded ctx.
func (e *Engine) Docker(ctx context.Context, stdin io.Reader, args ...string) (Result, error) {
	return Run(e.DockerCommand(ctx, args...), stdin)
}

// Run runs a prepared command and collects its Result.
func Run(cmd *exec.Cmd, stdin io.Reader) (Result, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second
	start := time.Now()
	err := cmd.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return result, nil
	case errors.As(err, &exit) && result.Code >= 0:
		return result, nil
	}
	return result, fmt.Errorf("%s: after %s: %w\nstdout: %s\nstderr: %s", strings.Join(cmd.Args, " "),
		time.Since(start).Round(time.Second), err, clip(result.Stdout), clip(result.Stderr))
}

// clip bounds what an error message quotes.
func clip(s string) string {
	const limit = 2000
	if len(s) > limit {
		return "..." + s[len(s)-limit:]
	}
	return s
}

// Image is the image that cases run unless they need another: Debian's minbase
// as debootstrap makes it.
const Image = "debian:bookworm"

// ImportImage makes Image of a tar archive of a root file system.
func (e *Engine) ImportImage(ctx context.Context, archive string) error {
	return e.must(ctx, nil, "import", "--change", `CMD ["bash"]`, archive, Image)
}

// BuildImage makes an image of a Dockerfile. The folder dir, which may be
// empty, is what COPY sees.
func (e *Engine) BuildImage(ctx context.Context, tag, dockerfile, dir string) error {
	if dir == "" {
		return e.must(ctx, strings.NewReader(dockerfile), "build", "--tag", tag, "-")
	}
	return e.must(ctx, strings.NewReader(dockerfile), "build", "--tag", tag, "--file", "-", dir)
}

func (e *Engine) must(ctx context.Context, stdin io.Reader, args ...string) error {
	result, err := e.Docker(ctx, stdin, args...)
	if err != nil {
		return err
	}
	if result.Code != 0 {
		return fmt.Errorf("docker %s: exit code %d: %s", args[0], result.Code, clip(result.Stderr))
	}
	return nil
}

// BuildProbe compiles the helper program of the suites, which runs in
// containers, into the folder dir. source is its package.
func BuildProbe(ctx context.Context, source, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(dir, "probe"), source)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", source, err, out)
	}
	return nil
}
