package engine

import (
	"path"
	"strconv"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/kernels/catalogue"
	"github.com/runcvm/runcvm/schema"
)

// maxCommandLine is COMMAND_LINE_SIZE of x86, the terminating zero included.
const maxCommandLine = 2048

// compileKernel chooses the kernel and writes its command line.
func (c *compiler) compileKernel() {
	k, ok := c.chooseKernel()
	if !ok {
		return
	}
	k.Image = path.Join(plan.KernelMount, k.Image)
	k.Initramfs = path.Join(plan.KernelMount, plan.KernelInitrd)
	c.plan.Kernel = k
	c.plan.Kernel.CommandLine = strings.Join(c.kernelArguments(), " ")
	if n := len(c.plan.Kernel.CommandLine); n >= maxCommandLine {
		c.diags.Errorf("Kernel command line too long",
			"The kernel's command line is %d bytes long; it takes %d at most. Shorten kernel.append.%s", n, maxCommandLine-1, c.blame(schema.KernelAppend.Attribute))
	}
}

// kernelArguments lists the command line's words, those of the profile last so
// that they win.
func (c *compiler) kernelArguments() []string {
	verbosity := "quiet" // under TCG each character on the serial port costs microseconds
	if schema.KernelDebug.Of(c.profile) {
		verbosity = "loglevel=7" // all but what is for the kernel's developers
	}
	args := append(c.displayArguments(),
		"console="+c.serialLine(), verbosity,
		// QEMU ends with -no-reboot when the kernel reboots after a panic.
		"panic=-1",
		// The crypto self-tests are a seventh of the boot.
		"cryptomgr.notests",
		"random.trust_cpu=on",
		// One serial port is there; probing for three more takes time.
		"8250.nr_uarts=1",
	)
	if c.plan.Machine.CPUs == 1 {
		// Skips the rewriting of locks for several CPUs, a sixth of the boot.
		args = append(args, "noreplace-smp")
	}
	if c.plan.Machine.Accel == "kvm" {
		// kvm-clock tells the guest the frequency of its counter, which is the
		// machine's own: nothing to say about clocks.
		args = append(args, c.kvmArguments()...)
	} else if khz := c.facts.Host.TSCKHz; khz > 0 {
		// The guest's counter is the host's: no need to measure it against a timer
		// that a busy host delivers late.
		args = append(args, "tsc_early_khz="+strconv.Itoa(khz))
	}
	if d, ok := catalogue.Find(c.plan.Kernel.Distribution); ok {
		args = append(args, d.Arguments...)
	}
	args = append(args, c.initArguments()...)
	return append(args, schema.KernelAppend.Of(c.profile)...)
}

// compileFirmware checks that the firmware is installed.
func (c *compiler) compileFirmware() {
	firmware := schema.FirmwareType.Of(c.profile)
	if firmware == "qboot" && !c.facts.Tools.Qboot {
		c.diags.Errorf("Firmware not installed",
			"firmware.type is \"qboot\", which the tool root %s does not have. Use \"seabios\", or run \"runcvm install\" again.%s", c.facts.Tools.Root, c.blame(schema.FirmwareType.Attribute))
	}
	c.plan.Firmware = plan.Firmware{Type: firmware}
}
