package api

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestCheckNames(t *testing.T) {
	good := specs.Process{
		Capabilities: &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL"}, Ambient: []string{"CAP_CHECKPOINT_RESTORE"}},
		Rlimits:      []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE"}},
	}
	if err := CheckNames(&good); err != nil {
		t.Error(err)
	}
	for want, bad := range map[string]specs.Process{
		`"CAP_TEST" is not a capability`:        {Capabilities: &specs.LinuxCapabilities{Inheritable: []string{"CAP_KILL", "CAP_TEST"}}},
		`"rlimit_core" is not a resource limit`: {Rlimits: []specs.POSIXRlimit{{Type: "rlimit_core"}}},
	} {
		if err := CheckNames(&bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestNumbers compares with the system's.
func TestNumbers(t *testing.T) {
	for name, number := range map[string]int{
		"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_CPU": unix.RLIMIT_CPU,
		"RLIMIT_DATA": unix.RLIMIT_DATA, "RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS,
		"RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK, "RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_NICE": unix.RLIMIT_NICE,
		"RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_RSS": unix.RLIMIT_RSS,
		"RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO, "RLIMIT_RTTIME": unix.RLIMIT_RTTIME,
		"RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING, "RLIMIT_STACK": unix.RLIMIT_STACK,
	} {
		if got, ok := Limits[name]; !ok || got != number {
			t.Errorf("%s is %d, want %d", name, got, number)
		}
	}
	if len(Limits) != 16 || len(Capabilities) != unix.CAP_LAST_CAP+1 || Capabilities[unix.CAP_SYS_ADMIN] != "CAP_SYS_ADMIN" {
		t.Errorf("%d limits, %d capabilities", len(Limits), len(Capabilities))
	}
}
