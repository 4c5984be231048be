package facts

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// The measured loop and its limits. Hardware KVM executes thousands of millions
// of such instructions a second, KVM nested in a VM that is itself emulated by
// TCG a few hundred million, on which stock kernels boot well. Where /dev/kvm
// emulates each instruction, it is about four million, and stock kernels never
// boot.
const (
	loopIterations   = 2000
	loopInstructions = 64 // in one iteration
	instructions     = loopIterations * loopInstructions
	loopAttempts     = 6
	// minimumRate is in instructions a second.
	minimumRate = 30_000_000
	// probeTime bounds all attempts together; setting up a VM takes a few
	// milliseconds more.
	probeTime = 600 * time.Millisecond
	// wallFactor is how much slower by the wall than by the thread's CPU time
	// the loop may be: other processes want the CPU too, but a loop that runs
	// outside of the thread's account must not look fast.
	wallFactor = 8
)

// Verdict is the outcome of the probe.
type Verdict struct {
	KVM plan.KVM
	// TSCKHz is the frequency of the time stamp counter in kHz as KVM tells
	// it, or 0.
	TSCKHz int
}

// measurement is what the loop took in the fastest of its completed attempts.
type measurement struct {
	completed int // attempts that reached the loop's end
	cpu, wall time.Duration
	tscKHz    int
}

// rate is in instructions a second.
func rate(d time.Duration) float64 {
	return instructions / max(d, time.Microsecond).Seconds()
}

// verdict judges a measurement.
func (m measurement) verdict() plan.KVM {
	if m.completed == 0 {
		return plan.KVM{Reason: fmt.Sprintf("/dev/kvm opens, but a virtual CPU did not execute %d instructions "+
			"within %v, so a kernel would not boot.", instructions, probeTime)}
	}
	figure := fmt.Sprintf("%d instructions took %.1f ms (%.0f million a second)",
		instructions, milliseconds(m.cpu), rate(m.cpu)/1e6)
	switch {
	case rate(m.cpu) < minimumRate:
		return plan.KVM{Reason: fmt.Sprintf("/dev/kvm opens, but executes guest instructions too slowly for a kernel "+
			"to boot, as on hosts that emulate them one by one: %s, and %d million are needed.", figure, minimumRate/1_000_000)}
	case rate(m.wall) < minimumRate/wallFactor:
		return plan.KVM{Reason: fmt.Sprintf("/dev/kvm opens, but a virtual CPU hardly gets to run: "+
			"%d instructions took %.1f ms by the wall clock and %.1f ms of CPU time.",
			instructions, milliseconds(m.wall), milliseconds(m.cpu))}
	}
	return plan.KVM{Usable: true, Reason: "KVM works: " + figure + "."}
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// done reports whether further attempts cannot change the verdict.
func (m measurement) done() bool {
	return m.completed > 0 && m.verdict().Usable
}

// Probe measures whether KVM can run a VM, or returns what was measured since
// the host booted. It returns within a second. A measured verdict is kept in the file kvm.json of
// cacheDir; an empty cacheDir measures anew and keeps nothing. Whatever keeps
// the probe from measuring makes KVM unusable, with the cause as the reason.
func Probe(cacheDir string) Verdict {
	return probe(kvmDevice, cacheDir)
}

const kvmDevice = "/dev/kvm"

func probe(device, cacheDir string) Verdict {
	key, err := identify(device)
	if err != nil {
		return Verdict{KVM: plan.KVM{Reason: openReason(device, err)}}
	}
	// Opened even when the verdict is known: permission belongs to the caller.
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return Verdict{KVM: plan.KVM{Reason: openReason(device, err)}}
	}
	defer unix.Close(fd)
	if cacheDir == "" {
		v, _ := measure(fd)
		addParameters(&v.KVM)
		return v
	}
	v := cached(cacheDir, key, func() (Verdict, bool) { return measure(fd) })
	addParameters(&v.KVM)
	return v
}

// addParameters reads what KVM's modules allow guests. It is not kept with the
// verdict: a module may be loaded anew with other parameters.
func addParameters(kvm *plan.KVM) {
	kvm.Nested = enabled("kvm_intel", "nested") || enabled("kvm_amd", "nested")
	kvm.PMU = enabled("kvm", "enable_pmu")
}

// enabled reads a boolean parameter of a kernel module.
func enabled(module, parameter string) bool {
	value, err := os.ReadFile("/sys/module/" + module + "/parameters/" + parameter)
	return err == nil && len(value) > 0 && (value[0] == 'Y' || value[0] == '1')
}

// measure runs the loop. The second result says whether the verdict holds until
// the host reboots: an error such as EBUSY may pass.
func measure(fd int) (Verdict, bool) {
	m, err := measureLoop(fd)
	if err != nil {
		return Verdict{KVM: plan.KVM{Reason: runReason(err)}}, false
	}
	return Verdict{KVM: m.verdict(), TSCKHz: m.tscKHz}, true
}

// openReason explains why /dev/kvm cannot be opened.
func openReason(device string, err error) string {
	switch {
	case errors.Is(err, unix.ENOENT):
		return device + " does not exist: the CPU or the hosting VM has no virtualisation, " +
			"it is disabled in the firmware, or the kernel module (kvm_intel, kvm_amd) is not loaded."
	case errors.Is(err, unix.EBUSY):
		return device + " is busy (" + err.Error() + "): another hypervisor holds the CPU's virtualisation."
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return device + " has no driver (" + err.Error() + "): the kernel module (kvm_intel, kvm_amd) is not loaded."
	}
	return deniedReason(device, err)
}

// runReason explains why no VM could be run on an open /dev/kvm.
func runReason(err error) string {
	if errors.Is(err, unix.EBUSY) {
		return "/dev/kvm opens, but is busy: another hypervisor holds the CPU's virtualisation (" + err.Error() + ")."
	}
	return "/dev/kvm opens, but no virtual CPU can be run: " + err.Error() + "."
}
