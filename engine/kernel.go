package engine

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// maxCommandLine is COMMAND_LINE_SIZE of x86, the terminating zero included.
const maxCommandLine = 2048

// compileKernel finds the kernel among those installed and writes its command
// line.
func (c *compiler) compileKernel() {
	k := c.findKernel()
	if k == nil {
		c.reportKernel()
		return
	}
	image := plan.KernelImage
	if k.HasVmlinux {
		// Entered directly by PVH: nothing to decompress, a tenth of the boot.
		image = plan.KernelVmlinux
	}
	c.plan.Kernel = plan.Kernel{
		Distribution: k.Distribution,
		Version:      k.Version,
		HostDir:      k.HostDir,
		Image:        path.Join(plan.KernelMount, image),
		Initramfs:    path.Join(plan.KernelMount, plan.KernelInitrd),
		CommandLine:  strings.Join(c.kernelArguments(), " "),
	}
	if n := len(c.plan.Kernel.CommandLine); n >= maxCommandLine {
		c.diags.Errorf("Kernel command line too long",
			"The kernel's command line is %d bytes long; it takes %d at most. Shorten kernel.append.%s", n, maxCommandLine-1, c.blame(schema.KernelAppend.Attribute))
	}
}

func (c *compiler) findKernel() *plan.InstalledKernel {
	distribution := schema.KernelDistribution.Of(c.profile)
	version := schema.KernelVersion.Of(c.profile)
	for i := range c.facts.Kernels {
		k := &c.facts.Kernels[i]
		if k.Distribution == distribution && (k.Version == version || version == "latest" && k.Default) {
			return k
		}
	}
	return nil
}

func (c *compiler) reportKernel() {
	distribution := schema.KernelDistribution.Of(c.profile)
	version := schema.KernelVersion.Of(c.profile)
	if len(c.facts.Kernels) == 0 {
		c.diags.Errorf("No kernel installed", "There is no kernel in %s for the machine to boot. Install one: runcvm install.", c.facts.KernelsDir)
		return
	}
	var installed, names []string
	for _, k := range c.facts.Kernels {
		installed = append(installed, k.Distribution+" "+k.Version)
		names = append(names, k.Distribution)
		if k.Distribution == distribution {
			names = append(names, k.Version)
		}
	}
	wanted, culprit := version, schema.KernelVersion.Attribute
	if !slices.Contains(names, distribution) {
		wanted, culprit = distribution, schema.KernelDistribution.Attribute
	}
	c.diags.Errorf("Kernel not installed",
		"The profile asks for the kernel %q of %q, which is not installed.%s Installed are: %s. Choose one of them, or install more: runcvm install.%s",
		version, distribution, diag.DidYouMean(wanted, names), strings.Join(installed, ", "), c.blame(culprit))
}

// kernelArguments lists the command line's words, those of the profile last so
// that they win.
func (c *compiler) kernelArguments() []string {
	args := []string{
		"console=ttyS0",
		"quiet", // under TCG each character on the serial port costs microseconds
		// QEMU ends with -no-reboot when the kernel reboots after a panic.
		"panic=-1",
		// The crypto self-tests are a seventh of the boot.
		"cryptomgr.notests",
		"random.trust_cpu=on",
		// One serial port is there; probing for three more takes time.
		"8250.nr_uarts=1",
	}
	if c.plan.Machine.CPUs == 1 {
		// Skips the rewriting of locks for several CPUs, a sixth of the boot.
		args = append(args, "noreplace-smp")
	}
	if khz := c.facts.Host.TSCKHz; khz > 0 {
		// The guest's counter is the host's: no need to measure it against a timer
		// that a busy host delivers late.
		args = append(args, "tsc_early_khz="+strconv.Itoa(khz))
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
