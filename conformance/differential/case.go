package differential

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-shellwords"
	"go.yaml.in/yaml/v4"
)

// Case is one comparison. Its commands run under the reference, then under the
// runtime that is tested.
type Case struct {
	// Name is the file's, without its extension.
	Name        string `yaml:"-"`
	Description string `yaml:"description"`
	// Engines are those that can run the case; all when it is empty.
	Engines []string `yaml:"engines"`
	// Needs are what the host may lack: privileged, mac-address.
	Needs []string `yaml:"needs"`
	// Dockerfile makes the image that ${image} is, from ${base}; without it,
	// ${image} is the base image.
	Dockerfile string `yaml:"dockerfile"`
	// Files are made in the folder ${dir} of the host: contents by path.
	Files map[string]string `yaml:"files"`
	// Shared is whether ${shared} is a container that sleeps, with a folder of the
	// host at /volume. It is there for all such cases, so that not each boots a
	// machine: a case changes nothing in it but files of a folder that has its name.
	Shared  bool         `yaml:"shared"`
	Steps   []Step       `yaml:"steps"`
	Differs []Difference `yaml:"differs"`
}

// Step is one command of the engine.
type Step struct {
	// Docker holds the arguments, split as a shell splits them, with ${c}, a name
	// that is the case's own, ${image}, ${base}, ${dir}, ${runtime} and ${shared} replaced. A
	// container gets the runtime.
	Docker string `yaml:"docker"`
	// Script adds the arguments sh -c SCRIPT.
	Script string `yaml:"script"`
	Stdin  string `yaml:"stdin"`
	// StdinSize makes the standard input of that many bytes, the same each time.
	StdinSize int `yaml:"stdin_size"`
	// Times runs the command that often, all at once, with ${i} the number of each
	// from 1. Their outputs follow each other; the code is the sum.
	Times int `yaml:"times"`
	// Until has the command repeated until a line of its output matches; only the
	// last output counts.
	Until string `yaml:"until"`
	// Limit sorts the command's duration: within it or beyond it.
	Limit Duration `yaml:"limit"`
	// Ignore lists what is not compared: stdout, stderr or code.
	Ignore []string `yaml:"ignore"`
	// Replace is applied to both outputs before they are compared, in this order.
	Replace []Replacement `yaml:"replace"`
	// Refused says that the engine itself refuses the command, also under the
	// reference. A step that it refuses without this is a failure: it compares two
	// errors of a command that does nothing.
	Refused bool `yaml:"refused"`
	// Sort is for lines whose order the engine leaves open.
	Sort bool `yaml:"sort"`
	// Background lets the command run beside those that follow, up to its wait.
	Background string `yaml:"background"`
	// Wait takes the output of the command of this background.
	Wait string `yaml:"wait"`

	args  []string
	until *regexp.Regexp
}

// Replacement puts With in the place of what the regular expression Match
// matches.
type Replacement struct {
	Match string `yaml:"match"`
	With  string `yaml:"with"`

	match *regexp.Regexp
}

// Difference is one that is expected, with its reason. The case fails where it
// is not there, so that none is stated that has been mended.
type Difference struct {
	Step int    `yaml:"step"` // from 1
	What string `yaml:"what"` // stdout, stderr, code or duration
	// Reference and Tested are regular expressions, each for the whole of what
	// the step showed.
	Reference string `yaml:"reference"`
	Tested    string `yaml:"tested"`
	Reason    string `yaml:"reason"`

	reference, tested *regexp.Regexp
}

// Duration is a time.Duration, written as "10s".
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// The parts of a step's result, as cases name them.
const (
	partStdout   = "stdout"
	partStderr   = "stderr"
	partCode     = "code"
	partDuration = "duration"
)

var parts = []string{partStdout, partStderr, partCode, partDuration}

//go:embed cases/*.yaml
var embedded embed.FS

// Cases returns the cases that come with the program, by name.
func Cases() ([]Case, error) {
	files, err := fs.Glob(embedded, "cases/*.yaml")
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, file := range files {
		src, err := embedded.ReadFile(file)
		if err != nil {
			return nil, err
		}
		c, err := Parse(src, strings.TrimSuffix(path.Base(file), ".yaml"))
		if err != nil {
			return nil, err
		}
		cases = append(cases, *c)
	}
	return cases, nil
}

// Parse reads and checks one case.
func Parse(src []byte, name string) (*Case, error) {
	c := &Case{}
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	decoder.KnownFields(true)
	err := decoder.Decode(c)
	c.Name = name
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", name, err)
	}
	return c, nil
}

func (c *Case) check() error {
	if c.Description == "" || len(c.Steps) == 0 {
		return errors.New("a case has a description and steps")
	}
	if err := c.checkNeeds(); err != nil {
		return err
	}
	running := map[string]bool{}
	for i := range c.Steps {
		if text := c.Steps[i].Docker + c.Steps[i].Script; strings.Contains(text, "${shared}") && !c.Shared {
			return fmt.Errorf("step %d: ${shared} is there for a case with shared: true", i+1)
		}
		if err := c.Steps[i].check(running); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	for name, waits := range running {
		if waits {
			return fmt.Errorf("no step waits for the background %q", name)
		}
	}
	for i := range c.Differs {
		d := &c.Differs[i]
		if err := d.check(len(c.Steps)); err != nil {
			return fmt.Errorf("difference %d: %w", i+1, err)
		}
	}
	return nil
}

func (s *Step) check(running map[string]bool) error {
	if (s.Docker == "") == (s.Wait == "") {
		return errors.New("a step has one of docker and wait")
	}
	if s.Wait != "" && !running[s.Wait] {
		return fmt.Errorf("no background %q runs", s.Wait)
	}
	if s.Background != "" {
		if s.Until != "" || s.Limit != 0 || running[s.Background] {
			return fmt.Errorf("the background %q has an until or a limit, or runs already", s.Background)
		}
		running[s.Background] = true
	}
	delete(running, s.Wait)
	for _, what := range s.Ignore {
		if !slices.Contains(parts, what) {
			return fmt.Errorf("ignore: %q is none of %s", what, strings.Join(parts, ", "))
		}
	}
	var err error
	if s.args, err = shellwords.Parse(s.Docker); err != nil {
		return fmt.Errorf("docker: %w", err)
	}
	if s.Script != "" {
		s.args = append(s.args, "sh", "-c", s.Script)
	}
	if s.until, err = regexp.Compile("(?m)" + s.Until); err != nil {
		return fmt.Errorf("until: %w", err)
	}
	for i := range s.Replace {
		if s.Replace[i].match, err = regexp.Compile("(?m)" + s.Replace[i].Match); err != nil {
			return fmt.Errorf("replace: %w", err)
		}
	}
	return nil
}

func (s *Step) stdin() io.Reader {
	if s.StdinSize == 0 {
		return strings.NewReader(s.Stdin)
	}
	return io.LimitReader(rand.NewChaCha8([32]byte{}), int64(s.StdinSize))
}

func (d *Difference) check(steps int) error {
	if d.Reason == "" || d.Step < 1 || d.Step > steps || !slices.Contains(parts, d.What) {
		return fmt.Errorf("it has a reason, a step of 1 to %d, and one of %s", steps, strings.Join(parts, ", "))
	}
	var err error
	if d.reference, err = whole(d.Reference); err != nil {
		return err
	}
	d.tested, err = whole(d.Tested)
	return err
}

// whole compiles an expression that has to match all of a text.
func whole(expression string) (*regexp.Regexp, error) {
	return regexp.Compile(`(?s)\A(?:` + expression + `)\n?\z`)
}
