package validation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// tools is the module of the suite.
const tools = "github.com/opencontainers/runtime-tools"

// Suite is the suite, built.
type Suite struct {
	// Programs are their names, sorted.
	Programs []string
	bin      string // the programs
	work     string // where they find the root file system and runtimetest
}

// Build builds the programs of the suite that are wanted into dir, an empty
// folder. module is the folder of the module that pins the suite.
func Build(ctx context.Context, module, dir string, wanted func(program string) bool) (*Suite, error) {
	s := &Suite{bin: filepath.Join(dir, "bin"), work: filepath.Join(dir, "work")}
	for _, d := range []string{s.bin, s.work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	listed, err := goCommand(ctx, module, nil, "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, tools+"/validation/...")
	if err != nil {
		return nil, err
	}
	var packages []string
	for _, p := range strings.Fields(listed) {
		if name := path.Base(p); wanted(name) {
			packages = append(packages, p)
			s.Programs = append(s.Programs, name)
		}
	}
	if len(packages) == 0 {
		return nil, errors.New("no program of the suite is wanted; its folder validation lists them: " + listed)
	}
	slices.Sort(s.Programs)
	if _, err := goCommand(ctx, module, nil, append([]string{"build", "-o", s.bin + "/"}, packages...)...); err != nil {
		return nil, err
	}
	// It runs in the containers, whose roots have no libraries.
	if _, err := goCommand(ctx, module, []string{"CGO_ENABLED=0"}, "build", "-o", s.work+"/", tools+"/cmd/runtimetest"); err != nil {
		return nil, err
	}
	return s, s.takeRoot(ctx, module)
}

// takeRoot copies the root file system that the suite comes with.
func (s *Suite) takeRoot(ctx context.Context, module string) error {
	dir, err := goCommand(ctx, module, nil, "list", "-m", "-f", "{{.Dir}}", tools)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("rootfs-%s.tar.gz", runtime.GOARCH)
	archive, err := os.ReadFile(filepath.Join(strings.TrimSpace(dir), name))
	if err != nil {
		return fmt.Errorf("the suite has no root file system for this architecture: %w", err)
	}
	return os.WriteFile(filepath.Join(s.work, name), archive, 0o644)
}

// goCommand runs the go command in a module and returns its output.
func goCommand(ctx context.Context, module string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = append(cmd.Environ(), env...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, exit.Stderr)
	}
	return string(out), err
}
