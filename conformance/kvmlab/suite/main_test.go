package suite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// commandLimit bounds one command. The lab is an emulated machine on a host
// that may have other work: three times what it takes there, and more.
const commandLimit = 5 * time.Minute

func TestMain(m *testing.M) {
	code := m.Run()
	var errs []error
	if engine.running != nil {
		errs = append(errs, engine.running.Stop())
	}
	errs = append(errs, os.RemoveAll(harness.RunDir()))
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintf(os.Stderr, "suite: %v\n", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// accel is the accelerator that the host of this test is to have: kvm or tcg.
func accel(t *testing.T) string {
	t.Helper()
	a := os.Getenv(lab.AccelVar)
	if a == "" {
		t.Skipf("%s is not set: \"make test-kvm\" runs this", lab.AccelVar)
	}
	return a
}

// onKVM skips a test that is for KVM alone.
func onKVM(t *testing.T) {
	t.Helper()
	if accel(t) != "kvm" {
		t.Skip("not on KVM")
	}
}

// result opens a file among the results that outlive the lab.
func result(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(os.Getenv(lab.ResultsVar), name)
}

// eventually polls until the condition holds. The condition may start a
// program, which is slow in the lab: it is not asked often.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(commandLimit); !condition(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", commandLimit, what)
		}
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// contains wants all of these texts.
func contains(t *testing.T, what, got string, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(got, text) {
			t.Errorf("%s: %q has no %q", what, got, text)
		}
	}
}
