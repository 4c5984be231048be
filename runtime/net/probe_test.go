package net

import (
	"testing"

	"github.com/runcvm/runcvm/internal/testkit"
)

func TestProbe(t *testing.T) {
	testkit.Require(t, testkit.Root, testkit.NetNS, testkit.TC)
	testkit.NoLeaks(t)
	tc, bridge := Probe()
	if !tc.Usable || !bridge.Usable || tc.Reason == "" || bridge.Reason == "" {
		t.Errorf("tc: %+v, bridge: %+v", tc, bridge)
	}
}

func BenchmarkProbe(b *testing.B) {
	testkit.Require(b, testkit.Root, testkit.NetNS)
	for range b.N {
		Probe()
	}
}
