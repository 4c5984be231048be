package differential

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Runner runs cases on a container engine by its command line.
type Runner struct {
	// Engine is the command: docker or podman.
	Engine string
	// Environ is the command's environment, nil for this process's.
	Environ []string
	// Reference and Tested are the runtimes, as the engine knows them.
	Reference, Tested string
	// Base is the image that the cases are made for: Debian, with a shell and
	// coreutils, and root's PATH.
	Base string
	// Prefix begins the names of all that a case makes, and of nothing else.
	Prefix string
	// Limit bounds a command, and a repetition of one.
	Limit time.Duration

	shared shared
}

// Outcome is what a case found.
type Outcome struct {
	Case    *Case
	Skipped string // why the case did not run
	// Failures are differences that are not stated, and stated ones that were not
	// there.
	Failures []string
	Elapsed  time.Duration
}

// Result is what one step showed.
type Result struct {
	Stdout, Stderr string
	Code           int
	// Within says on which side of the step's limit its duration was.
	Within bool
}

// Run runs a case under both runtimes and compares. The error is for one that
// could not be run.
func (r *Runner) Run(ctx context.Context, c *Case) (Outcome, error) {
	start := time.Now()
	o := Outcome{Case: c}
	if o.Skipped = r.lacking(ctx, c); o.Skipped != "" {
		return o, nil
	}
	reference, err := r.runUnder(ctx, c, r.Reference)
	if err != nil {
		return o, fmt.Errorf("%s under %s: %w", c.Name, r.Reference, err)
	}
	tested, err := r.runUnder(ctx, c, r.Tested)
	if err != nil {
		return o, fmt.Errorf("%s under %s: %w", c.Name, r.Tested, err)
	}
	o.Failures = compare(c, reference, tested)
	o.Elapsed = time.Since(start)
	return o, nil
}

// attempt is a case under one runtime.
type attempt struct {
	*Runner
	runtime string
	name    string
	dir     string // ${dir}
	words   *strings.Replacer
	started map[string]*command
}

func (r *Runner) runUnder(ctx context.Context, c *Case, runtime string) (results []Result, err error) {
	dir, err := os.MkdirTemp("", r.Prefix)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	a := &attempt{Runner: r, runtime: runtime, name: r.Prefix + c.Name, dir: dir, started: map[string]*command{}}
	image := r.Base
	if c.Dockerfile != "" {
		image = a.name
	}
	words := []string{"${c}", a.name, "${image}", image, "${base}", r.Base, "${dir}", dir, "${runtime}", runtime}
	if c.Shared {
		name, err := r.shared.container(ctx, a)
		if err != nil {
			return nil, err
		}
		words = append(words, "${shared}", name)
	}
	a.words = strings.NewReplacer(words...)
	defer func() {
		// Also after the caller's context has ended.
		err = errors.Join(err, a.clean(context.WithoutCancel(ctx)))
	}()
	if err := a.clean(ctx); err != nil {
		return nil, err
	}
	if err := writeFiles(dir, c.Files); err != nil {
		return nil, err
	}
	if err := a.build(ctx, c.Dockerfile); err != nil {
		return nil, err
	}
	for i := range c.Steps {
		result, err := a.step(ctx, &c.Steps[i])
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
		results = append(results, a.anonymous(result))
	}
	return results, nil
}

// writeFiles makes files below a folder that containers of other users read.
func writeFiles(dir string, files map[string]string) error {
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as above
		return err
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as above
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}

// macAddress is one that Podman makes at random, where Docker derives it.
var macAddress = regexp.MustCompile(`\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b`)

// anonymous puts <runtime> for the runtime's name, which errors have in them,
// and <dir> for the case's folder. The names of what the case makes stay.
func (a *attempt) anonymous(r Result) Result {
	name := regexp.MustCompile(regexp.QuoteMeta(a.Prefix) + `|\b` + regexp.QuoteMeta(a.runtime) + `\b`)
	for _, text := range []*string{&r.Stdout, &r.Stderr} {
		*text = strings.ReplaceAll(*text, a.dir, "<dir>")
		*text = name.ReplaceAllStringFunc(*text, func(found string) string {
			if found == a.Prefix {
				return found
			}
			return "<runtime>"
		})
		if a.Engine == "podman" {
			*text = macAddress.ReplaceAllString(*text, "<mac>")
		}
	}
	return r
}

// build makes the case's image, once: it does not depend on the runtime.
func (a *attempt) build(ctx context.Context, dockerfile string) error {
	if dockerfile == "" {
		return nil
	}
	cmd := a.command(ctx, "build", "--quiet", "--tag", a.name, "-")
	cmd.Stdin = strings.NewReader(a.words.Replace(dockerfile))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the image: %w: %s", err, out)
	}
	return nil
}

func (a *attempt) step(ctx context.Context, s *Step) (Result, error) {
	if s.Wait != "" {
		c := a.started[s.Wait]
		defer c.cancel()
		return c.result()
	}
	ctx, cancel := context.WithTimeout(ctx, a.Limit)
	if s.Background != "" {
		c := a.start(ctx, s, 1)
		c.cancel = cancel
		a.started[s.Background] = c
		return Result{}, c.failed
	}
	defer cancel()
	start := time.Now()
	for {
		result, err := a.repeated(ctx, s)
		result.Within = s.Limit == 0 || time.Since(start) <= time.Duration(s.Limit)
		if err != nil || s.Until == "" || s.until.MatchString(result.Stdout+result.Stderr) {
			return result, err
		}
		select {
		case <-ctx.Done():
			return result, fmt.Errorf("after %s no line of the output matches %q: %s%s", a.Limit, s.Until, result.Stdout, result.Stderr)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// command is one that runs.
type command struct {
	cmd            *exec.Cmd
	cancel         context.CancelFunc // of one in the background
	stdout, stderr bytes.Buffer
	failed         error // to start
}

// repeated runs the step's command as often as it says and joins the results.
func (a *attempt) repeated(ctx context.Context, s *Step) (Result, error) {
	var commands []*command
	for i := range max(1, s.Times) {
		commands = append(commands, a.start(ctx, s, i+1))
	}
	var all Result
	var failed error
	for _, c := range commands {
		r, err := c.result()
		failed = cmp.Or(failed, err) // one tells of all
		all.Stdout += r.Stdout
		all.Stderr += r.Stderr
		all.Code += r.Code
	}
	return all, failed
}

func (a *attempt) start(ctx context.Context, s *Step, number int) *command {
	args := make([]string, len(s.args))
	for i, arg := range s.args {
		args[i] = strings.ReplaceAll(a.words.Replace(arg), "${i}", strconv.Itoa(number))
	}
	c := &command{cmd: a.command(ctx, a.withRuntime(args)...)}
	c.cmd.Stdin = s.stdin()
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	c.failed = c.cmd.Start()
	return c
}

// result waits for the command's end. Any exit code is a result.
func (c *command) result() (Result, error) {
	err := c.failed
	if err == nil {
		err = c.cmd.Wait()
	}
	r := Result{Stdout: c.stdout.String(), Stderr: c.stderr.String(), Within: true}
	if c.cmd.ProcessState != nil {
		r.Code = c.cmd.ProcessState.ExitCode()
	}
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) && r.Code >= 0 {
		return r, nil
	}
	return r, fmt.Errorf("%s: %w: %s%s", strings.Join(c.cmd.Args, " "), err, r.Stdout, r.Stderr)
}

// withRuntime names the runtime to the commands that make a container.
func (a *attempt) withRuntime(args []string) []string {
	if len(args) == 0 {
		return args
	}
	verb := 1
	if args[0] == "container" {
		verb = 2
	}
	if len(args) < verb || args[verb-1] != "run" && args[verb-1] != "create" {
		return args
	}
	if a.Engine == "podman" {
		return append([]string{"--runtime", a.runtime}, args...)
	}
	return slices.Insert(slices.Clone(args), verb, "--runtime", a.runtime)
}

func (a *attempt) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, a.Engine, args...)
	cmd.Env = a.Environ
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// clean removes what a case has made: everything whose name begins with the
// case's own and ends there or goes on with a dash.
func (a *attempt) clean(ctx context.Context) error {
	for _, c := range a.started {
		c.cancel()
	}
	var failed []error
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "--all", "--format", "{{.Names}}"}, []string{"rm", "--force", "--volumes"}},
		{[]string{"network", "ls", "--format", "{{.Name}}"}, []string{"network", "rm"}},
		{[]string{"volume", "ls", "--format", "{{.Name}}"}, []string{"volume", "rm", "--force"}},
	} {
		out, err := a.command(ctx, kind.list...).Output()
		if err != nil {
			failed = append(failed, fmt.Errorf("%s %s: %w", a.Engine, strings.Join(kind.list, " "), err))
		}
		for name := range strings.FieldsSeq(string(out)) {
			if name != a.name && !strings.HasPrefix(name, a.name+"--") {
				continue
			}
			if out, err := a.command(ctx, append(kind.remove, name)...).CombinedOutput(); err != nil && !isGone(string(out)) {
				failed = append(failed, fmt.Errorf("%s %s %s: %w: %s", a.Engine, strings.Join(kind.remove, " "), name, err, out))
			}
		}
	}
	return errors.Join(failed...)
}

func isGone(output string) bool {
	return strings.Contains(strings.ToLower(output), "no such") || strings.Contains(output, "already in progress")
}

// part is a part of a result, as text.
func (r Result) part(what string) string {
	switch what {
	case partStdout:
		return r.Stdout
	case partStderr:
		return r.Stderr
	case partCode:
		return strconv.Itoa(r.Code)
	}
	if r.Within {
		return "within the limit"
	}
	return "beyond the limit"
}

// RunAll runs cases one after another and returns how many failed. One that could
// not be run has failed; the others are still to be seen.
func (r *Runner) RunAll(ctx context.Context, cases []Case, report *Reporter) (failed int, err error) {
	defer func() { err = errors.Join(err, report.Close(), r.Close(context.WithoutCancel(ctx))) }()
	for i := range cases {
		o, err := r.Run(ctx, &cases[i])
		switch {
		case ctx.Err() != nil:
			return report.Failed(), err
		case err != nil:
			o.Failures = []string{"could not be run: " + err.Error()}
		}
		report.Add(o)
	}
	return report.Failed(), nil
}
