package oci

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestJoinsHostNetwork(t *testing.T) {
	for path, want := range map[string]bool{
		"":                              false,
		"/proc/self/ns/net":             true,
		"/proc/self/ns/mnt":             false,
		"/no/such/file":                 false,
		"/var/run/docker/netns/default": true,
		"/var/run/docker/netns/0a1b":    false,
		"/run/netns/default":            false,
		"/var/run/netns/default":        false,
	} {
		spec := &specs.Spec{Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace, Path: path},
		}}}
		if got := joinsHostNetwork(spec); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
	if joinsHostNetwork(&specs.Spec{}) {
		t.Error("a spec without namespaces names one")
	}
}
