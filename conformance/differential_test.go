package conformance

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/differential"
	"github.com/runcvm/runcvm/conformance/harness"
)

// TestDifferential runs the cases of `runcvm conformance run`.
func TestDifferential(t *testing.T) {
	vmOnly(t)
	cases, err := differential.Cases()
	if err != nil {
		t.Fatal(err)
	}
	e := start(t)
	r := differential.Runner{
		Engine: "docker", Environ: e.DockerCommand(t.Context()).Env, Prefix: "differential-",
		Reference: "runc", Tested: underTest(), Base: harness.Image, Limit: commandLimit,
	}
	t.Cleanup(func() {
		if err := r.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	for i := range cases {
		t.Run(cases[i].Name, func(t *testing.T) {
			t.Parallel()
			o, err := r.Run(t.Context(), &cases[i])
			if err != nil {
				t.Fatalf("%v\ndockerd: %s", err, e.Log())
			}
			if o.Skipped != "" {
				t.Skip(o.Skipped)
			}
			if len(o.Failures) > 0 {
				// Twice is a difference, once is told: a suite of this many containers is
				// not to fail for what happens once in thousands of steps.
				fmt.Fprintf(os.Stderr, "conformance: %s differed and runs once more:\n%s\n", cases[i].Name, strings.Join(o.Failures, "\n"))
				if o, err = r.Run(t.Context(), &cases[i]); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range o.Failures {
				t.Error(f)
			}
		})
	}
}
