package conformance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// probeImage is harness.Image with the program probe in it.
const probeImage = "conformance:probe"

// suite is the engine that all the tests share, started by the first that asks.
var suite struct {
	once     sync.Once
	engine   *harness.Engine
	profiles string // folder of the runtime "runcvm-profiles"
	err      error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if suite.engine != nil {
		if err := suite.engine.Stop(); err != nil {
			fmt.Fprintf(os.Stderr, "conformance: stop the engine: %v\n", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// underTest is the runtime that the cases run on.
func underTest() string {
	if name := os.Getenv("RUNCVM_CONFORMANCE_RUNTIME"); name != "" {
		return name
	}
	return "runcvm"
}

// vmOnly skips a case that means nothing for a runtime without a VM.
func vmOnly(t *testing.T) {
	t.Helper()
	if underTest() == "runc" {
		t.Skip("only for a virtual machine")
	}
}

// alone returns the engine, for a test that runs with no other at the same
// time: one that counts what is left behind.
func alone(t *testing.T) *harness.Engine {
	t.Helper()
	if os.Getenv(harness.RequireVariable) == "" {
		t.Skipf("%s is not set: this suite boots machines for minutes; \"make test\" runs it", harness.RequireVariable)
	}
	harness.Require(t, harness.Root, harness.Docker, harness.Rootfs)
	if underTest() != "runc" {
		harness.Require(t, harness.Install, harness.QEMU)
	}
	suite.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		suite.err = startSuite(ctx)
	})
	if suite.err != nil {
		t.Fatalf("the engine: %v", suite.err)
	}
	return suite.engine
}

// start returns the engine, for a test that may run beside another.
func start(t *testing.T) *harness.Engine {
	t.Helper()
	e := alone(t)
	t.Parallel()
	return e
}

func startSuite(ctx context.Context) error {
	suite.profiles = filepath.Join(harness.Scratch(), "profiles")
	if err := os.MkdirAll(suite.profiles, 0o755); err != nil {
		return err
	}
	var err error
	suite.engine, err = harness.Start(ctx, map[string]harness.Runtime{
		"runcvm":          harness.Installed(),
		"runcvm-profiles": harness.Installed("--profiles-dir=" + suite.profiles),
		"runcvm-nokernel": harness.Installed().Without(filepath.Join(harness.Prefix(), "kernels")),
		"runcvm-notun":    harness.Installed().Without("/dev/net"),
		"runcvm-suite":    harness.Installed("--prefix=" + otherPrefix()),
	})
	if err != nil {
		return err
	}
	if err := suite.engine.ImportImage(ctx, harness.RootfsArchive()); err != nil {
		return err
	}
	dir := filepath.Join(suite.engine.Scratch, "probe")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := harness.BuildProbe(ctx, "./probe", dir); err != nil {
		return err
	}
	return suite.engine.BuildImage(ctx, probeImage, "FROM "+harness.Image+"\nCOPY probe /usr/local/bin/probe\n", dir)
}
