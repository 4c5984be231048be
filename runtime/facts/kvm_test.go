package facts

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestVerdict(t *testing.T) {
	ms := func(f float64) time.Duration { return time.Duration(f * float64(time.Millisecond)) }
	for _, tc := range []struct {
		name   string
		m      measurement
		usable bool
		says   string
	}{
		{"hardware", measurement{completed: 1, cpu: ms(0.06), wall: ms(0.06)}, true, "took 0.1 ms (2133 million a second)"},
		{"nested in TCG", measurement{completed: 1, cpu: ms(0.6), wall: ms(0.7)}, true, "took 0.6 ms (213 million a second)"},
		{"nested in TCG on a busy host", measurement{completed: 6, cpu: ms(3), wall: ms(20)}, true, "43 million"},
		{"emulated", measurement{completed: 6, cpu: ms(31), wall: ms(31)}, false, "took 31.0 ms (4 million a second), and 30 million are needed"},
		{"emulated on a busy host", measurement{completed: 2, cpu: ms(40), wall: ms(250)}, false, "3 million"},
		{"elsewhere", measurement{completed: 6, cpu: 0, wall: ms(90)}, false, "took 90.0 ms by the wall clock and 0.0 ms of CPU time"},
		{"never finished", measurement{}, false, "did not execute 128000 instructions within 600ms"},
	} {
		kvm := tc.m.verdict()
		if kvm.Usable != tc.usable || !strings.Contains(kvm.Reason, tc.says) || !strings.HasSuffix(kvm.Reason, ".") {
			t.Errorf("%s: got %+v, want %v and %q", tc.name, kvm, tc.usable, tc.says)
		}
		if tc.m.done() != tc.usable {
			t.Errorf("%s: done is %v", tc.name, tc.m.done())
		}
	}
}

func TestProbeIsQuickAndGivesAReason(t *testing.T) {
	start := time.Now()
	v := Probe("")
	if took := time.Since(start); took > time.Second {
		t.Errorf("the probe took %v", took)
	}
	if v.KVM.Reason == "" {
		t.Error("the verdict has no reason")
	}
	// The lab and machines whose verdict is known say what it must be.
	if want := os.Getenv("RUNCVM_EXPECT_KVM"); want != "" && want != map[bool]string{true: "usable", false: "unusable"}[v.KVM.Usable] {
		t.Errorf("got %+v, want KVM %s", v, want)
	}
	t.Logf("%+v after %v", v, time.Since(start))
}

func TestProbeWithoutADevice(t *testing.T) {
	dir := t.TempDir()
	regular := filepath.Join(dir, "regular")
	if err := os.WriteFile(regular, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for device, says := range map[string]string{
		filepath.Join(dir, "kvm"): "does not exist",
		regular:                   "no virtual CPU can be run",
	} {
		if kvm := probe(device, filepath.Join(dir, "cache")).KVM; kvm.Usable || !strings.Contains(kvm.Reason, says) {
			t.Errorf("%s: got %+v, want %q", device, kvm, says)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "cache", cacheFile)); err == nil {
		t.Error("an error was kept as a verdict")
	}
}

func TestProbeWithoutPermission(t *testing.T) {
	device := filepath.Join(t.TempDir(), "kvm")
	if err := os.WriteFile(device, nil, 0o000); err != nil {
		t.Fatal(err)
	}
	reason := make(chan string)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		// For a process with other user IDs, as which files are opened.
		if err := unix.Setfsuid(65534); err != nil {
			reason <- err.Error()
			return
		}
		reason <- probe(device, "").KVM.Reason
	}()
	if got := <-reason; !strings.Contains(got, "may not be opened by this user (permission denied)") {
		t.Errorf("got %q", got)
	}
}

func TestReasons(t *testing.T) {
	for err, says := range map[unix.Errno]string{
		unix.EACCES: "may not be opened by this user",
		unix.EPERM:  "device rules of the cgroup",
		unix.EBUSY:  "another hypervisor",
		unix.ENODEV: "has no driver",
		unix.EIO:    "input/output error",
	} {
		if got := openReason(kvmDevice, err); !strings.Contains(got, says) || !strings.HasPrefix(got, kvmDevice) {
			t.Errorf("%v: got %q", err, got)
		}
	}
	if got := runReason(unix.EBUSY); !strings.Contains(got, "another hypervisor") {
		t.Errorf("got %q", got)
	}
}
