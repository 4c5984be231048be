package differential

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/conformance/validation"
)

var update = flag.Bool("update", false, "write docs/conformance.md")

func TestPageIsCurrent(t *testing.T) {
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "docs", "conformance.md")
	known, err := validation.LoadKnown()
	if err != nil {
		t.Fatal(err)
	}
	figures, err := validation.LoadFigures()
	if err != nil {
		t.Fatal(err)
	}
	page := append(Page(cases), validation.Section(figures, known)...)
	if *update {
		if err := os.WriteFile(path, page, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page), string(written)); diff != "" {
		t.Errorf("docs/conformance.md is not what the cases say; run make docs (-want +got):\n%s", diff)
	}
}

func TestParseFindsMistakes(t *testing.T) {
	for name, test := range map[string]struct{ src, want string }{
		"unknown field":         {"description: a\nstep: []", "step"},
		"no steps":              {"description: a", "steps"},
		"two commands":          {"description: a\nsteps: [{docker: ps, wait: x}]", "one of docker and wait"},
		"waits for nothing":     {"description: a\nsteps: [{wait: x}]", `no background "x"`},
		"never waited for":      {"description: a\nsteps: [{docker: events, background: x}]", `no step waits for the background "x"`},
		"open quote":            {"description: a\nsteps: [{docker: \"run 'a\"}]", "docker"},
		"expression":            {"description: a\nsteps: [{docker: ps, until: '('}]", "until"},
		"part":                  {"description: a\nsteps: [{docker: ps, ignore: [all]}]", "stdout, stderr, code, duration"},
		"difference, no reason": {"description: a\nsteps: [{docker: ps}]\ndiffers: [{step: 1, what: code}]", "reason"},
		"difference, no step":   {"description: a\nsteps: [{docker: ps}]\ndiffers: [{step: 2, what: code, reason: b}]", "1 to 1"},
		"needs":                 {"description: a\nneeds: [luck]\nsteps: [{docker: ps}]", "luck"},
		"shared":                {"description: a\nsteps: [{docker: 'exec ${shared} true'}]", "shared: true"},
		"duration":              {"description: a\nsteps: [{docker: ps, limit: soon}]", "soon"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(test.src), "x")
			if err == nil || !strings.Contains(err.Error(), "case x: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func parse(t *testing.T, src string) *Case {
	t.Helper()
	c, err := Parse([]byte(src), "x")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const differing = `
description: a
steps:
  - docker: ps
    replace: [{match: 'in \d+ s', with: soon}]
    sort: true
differs:
  - {step: 1, what: code, reference: '0', tested: '[12]', reason: because}
`

func TestCompare(t *testing.T) {
	id := strings.Repeat("0a", 32)
	for name, test := range map[string]struct {
		reference, tested Result
		want              string // a part of the only failure
	}{
		"as stated":            {Result{Stdout: "in 5 s"}, Result{Stdout: "in 66 s", Code: 1}, ""},
		"another order":        {Result{Stdout: "a\nb\n"}, Result{Stdout: "b\na\n", Code: 1}, ""},
		"ids":                  {Result{Stdout: id}, Result{Stdout: strings.Replace(id, "0", "1", 1), Code: 1}, ""},
		"docker's waiting":     {Result{}, Result{Stderr: "time=\"now\" level=error msg=\"error waiting for container: context canceled\" \n", Code: 1}, ""},
		"not there":            {Result{}, Result{}, "is not there"},
		"another one":          {Result{}, Result{Code: 3}, "another one"},
		"not stated":           {Result{Stderr: "x"}, Result{Stderr: "y", Code: 2}, "stderr: (-reference"},
		"a part is not enough": {Result{}, Result{Code: 12}, "another one"},
	} {
		t.Run(name, func(t *testing.T) {
			got := compare(parse(t, differing), []Result{test.reference}, []Result{test.tested})
			if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestStepsThatCompareNothing(t *testing.T) {
	for name, test := range map[string]struct {
		step   string
		result Result
		wrong  bool
	}{
		"exit code of docker run": {"{docker: run}", Result{Stderr: "needs a newer engine", Code: 125}, true},
		"words of the engine":     {"{docker: create}", Result{Stderr: "Error response from daemon: no", Code: 1}, true},
		"meant so":                {"{docker: create, refused: true}", Result{Stderr: "Error response from daemon: no", Code: 1}, false},
		"the program's own code":  {"{docker: run}", Result{Stderr: "no", Code: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			results := []Result{test.result}
			got := compare(parse(t, "description: a\nsteps: ["+test.step+"]"), results, results)
			if wrong := len(got) == 1 && strings.Contains(got[0], "the engine refuses it"); wrong != test.wrong || len(got) > 1 {
				t.Errorf("%q, want one: %t", got, test.wrong)
			}
		})
	}
}

func TestWithRuntime(t *testing.T) {
	for name, test := range map[string]struct {
		engine, in, want string
	}{
		"run":       {"docker", "run --rm a", "run --runtime vm --rm a"},
		"create":    {"docker", "container create a", "container create --runtime vm a"},
		"exec":      {"docker", "exec a run", "exec a run"},
		"podman":    {"podman", "run a", "--runtime vm run a"},
		"a network": {"docker", "network create a", "network create a"},
	} {
		t.Run(name, func(t *testing.T) {
			a := attempt{Runner: &Runner{Engine: test.engine}, runtime: "vm"}
			if got := strings.Join(a.withRuntime(strings.Fields(test.in)), " "); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestStepRuns has a shell in the engine's place.
func TestStepRuns(t *testing.T) {
	a := attempt{Runner: &Runner{Engine: "sh", Prefix: "p-", Limit: time.Minute}, runtime: "vm", dir: "/tmp/x", words: strings.NewReplacer("${c}", "/tmp/x")}
	for name, test := range map[string]struct {
		step string
		want Result
	}{
		"times":   {"{docker: \"-c 'wc -c; echo ${i} >&2; exit 2'\", times: 3, stdin_size: 10}", Result{"10\n10\n10\n", "1\n2\n3\n", 6, true}},
		"script":  {"{docker: '-c \"exec sh -c \\\"$2\\\"\"', script: 'cat; echo it; exit 3', stdin: in}", Result{"init\n", "", 3, true}},
		"words":   {"{docker: \"-c 'echo ${c}/f vm vms'\"}", Result{"<dir>/f <runtime> vms\n", "", 0, true}},
		"until":   {"{docker: \"-c 'echo a; echo b'\", until: ^b$}", Result{"a\nb\n", "", 0, true}},
		"limited": {"{docker: \"-c 'exit 1'\", limit: 1ns}", Result{"", "", 1, false}},
	} {
		t.Run(name, func(t *testing.T) {
			c := parse(t, "description: a\nsteps: ["+test.step+"]")
			got, err := a.step(t.Context(), &c.Steps[0])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, a.anonymous(got)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNamesOfACaseStay(t *testing.T) {
	a := attempt{Runner: &Runner{Prefix: "runcvm-conformance-1-"}, runtime: "runcvm", dir: "/tmp/x"}
	got := a.anonymous(Result{Stdout: "runcvm-conformance-1-case\n", Stderr: "runcvm: /tmp/x/runcvm: runcvmx"})
	if diff := cmp.Diff(Result{Stdout: "runcvm-conformance-1-case\n", Stderr: "<runtime>: <dir>/<runtime>: runcvmx"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLacking(t *testing.T) {
	c := parse(t, "description: a\nengines: ['true', 'false']\nneeds: [privileged]\nsteps: [{docker: ps}]")
	for engine, want := range map[string]string{
		"true": "", "false": "needs privileged, which runc cannot do here: ", "docker": "only for true, false",
	} {
		r := Runner{Engine: engine, Reference: "runc"}
		if got := r.lacking(t.Context(), c); got != want {
			t.Errorf("%s: %q, want %q", engine, got, want)
		}
	}
}

// TestCasesThatCannotRun has an engine that is not there.
func TestCasesThatCannotRun(t *testing.T) {
	var out strings.Builder
	r := Runner{Engine: "/not/there", Reference: "runc", Tested: "vm", Prefix: "none-", Limit: time.Minute}
	cases := []Case{*parse(t, "description: a\nsteps: [{docker: ps}]"), *parse(t, "description: b\nsteps: [{docker: ps}]")}
	cases[0].Name, cases[1].Name = "a", "b"
	failed, err := r.RunAll(t.Context(), cases, NewReporter(&out, "text", len(cases)))
	if n := strings.Count(out.String(), "could not be run: "); failed != 2 || err != nil || n != 2 {
		t.Errorf("%d failed, %v, %d told of:\n%s", failed, err, n, out.String())
	}
}

func TestDescribeLongTexts(t *testing.T) {
	long := strings.Repeat("x", 1<<17)
	got := describe(long+"a", long+"bc")
	if want := "the reference has 131073 bytes, the tested runtime 131074, of which the first 131072 are the same"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWriteFiles(t *testing.T) {
	dir := t.TempDir()
	if err := writeFiles(dir, map[string]string{"a/b": "c"}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a", "b")); err != nil || string(got) != "c" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReports(t *testing.T) {
	c := parse(t, differing)
	outcomes := []Outcome{{Case: c}, {Case: c, Failures: []string{"step 1\n<more>"}}, {Case: c, Skipped: "only for podman"}}
	for format, want := range map[string]string{
		"text": `differs  x: a
         step 1, code: because
FAILED   x: a
         step 1
         <more>
skipped  x: a
         only for podman

3 cases: 0 equal, 1 with stated differences, 1 failed, 1 skipped
`,
		"tap": `TAP version 13
1..3
ok 1 - x
not ok 2 - x
# step 1
# <more>
ok 3 - x # SKIP only for podman
`,
		"junit": `<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="runcvm.conformance" tests="3" failures="1" skipped="1">
  <testcase name="x" classname="runcvm.conformance" time="0.000"></testcase>
  <testcase name="x" classname="runcvm.conformance" time="0.000">
    <failure message="a">step 1&#xA;&lt;more&gt;</failure>
  </testcase>
  <testcase name="x" classname="runcvm.conformance" time="0.000">
    <skipped message="only for podman"></skipped>
  </testcase>
</testsuite>
`,
	} {
		t.Run(format, func(t *testing.T) {
			var b bytes.Buffer
			r := NewReporter(&b, format, len(outcomes))
			for _, o := range outcomes {
				r.Add(o)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, b.String()); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			if r.Failed() != 1 {
				t.Errorf("%d failed", r.Failed())
			}
		})
	}
}
