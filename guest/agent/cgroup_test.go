package agent

import (
	"slices"
	"testing"
)

func TestV1Controllers(t *testing.T) {
	for list, want := range map[string][]string{
		"0::/\n": nil,
		"12:cpu,cpuacct:/\n4:pids:/container\n1:name=systemd:/\n0::/\n": {"cpu", "cpuacct", "pids", "name=systemd"},
		"": nil,
	} {
		if got := v1Controllers(list); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}
