package profiles_test

import (
	"os"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/profiles/policytest"
)

// TestPolicyExample runs the cases of examples/policy.
func TestPolicyExample(t *testing.T) {
	set, diags := profiles.Load("../examples/policy/profiles")
	src, err := os.ReadFile("../examples/policy/cases.hcl")
	if err != nil {
		t.Fatal(err)
	}
	cases, more := policytest.Parse(src, "cases.hcl")
	if err := append(diags, more...).Err(); err != nil {
		t.Fatal(err)
	}
	report := policytest.Run(set, cases)
	if report.Failed > 0 || report.Passed < 10 {
		var text strings.Builder
		_ = report.WriteText(&text)
		t.Error(text.String())
	}
}
