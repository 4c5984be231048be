package conformance

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/validation"
)

// validated are the programs of the OCI runtime-tools' suite that look at most
// for their time; "make validation" runs all of them.
var validated = []string{
	"create", "default", "hooks_stdin", "mounts", "pidfile", "poststart", "poststop", "process_user", "state",
}

// TestValidation has programs of the OCI runtime-tools' validation suite find no
// other fault than under runc, but for those that are stated.
func TestValidation(t *testing.T) {
	e := alone(t)
	vmOnly(t)
	dir := filepath.Join(e.Scratch, "validation")
	chosen := func(program string) bool { return slices.Contains(validated, program) }
	suite, err := validation.Build(t.Context(), "validation/suite", dir, chosen)
	if err != nil {
		t.Fatal(err)
	}
	defer suite.Close()
	reference, tested, err := validation.Runtimes(dir)
	if err != nil {
		t.Fatal(err)
	}
	known, err := validation.LoadKnown()
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range suite.Programs {
		t.Run(program, func(t *testing.T) {
			c, err := suite.Compare(t.Context(), program, reference, tested, 3*time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("runc: %s; RunCVM: %s", c.Reference, c.Tested)
			unknown, stale := validation.Judge(c.Differences, known, func(p string) bool { return p == program })
			for _, d := range unknown {
				t.Errorf("%s: runc %s; RunCVM %s", d.Assertion, d.Reference, d.Tested)
			}
			for _, k := range stale {
				t.Errorf("%s holds now: take it out of known.yaml", k.Assertion)
			}
			if t.Failed() {
				t.Log(c.Result.Failures())
			}
		})
	}
}
