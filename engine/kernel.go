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

// lowMemoryMiB is how much RAM a machine of the type q35 has below 4 GiB in any
// case.
const lowMemoryMiB = 2048

// compileKernel chooses the kernel and writes its command line.
func (c *compiler) compileKernel() {
	k, ok := c.chooseKernel()
	if !ok {
		return
	}
	k.Image = path.Join(plan.KernelMount, k.Image)
	k.Initramfs = path.Join(plan.KernelMount, plan.KernelInitrd)
	c.plan.Kernel = k
	c.checkKernelFits()
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
		// No more serial ports are there; probing for them takes time.
		"8250.nr_uarts="+strconv.Itoa(c.consolePort()+1),
	)
	if c.plan.Machine.CPUs == 1 {
		// Skips the rewriting of locks for several CPUs, a sixth of the boot.
		args = append(args, "noreplace-smp")
	}
	if c.emptySocket() {
		args = append(args, "possible_cpus=1") // nothing is set aside for another
	}
	if m := c.plan.Machine; m.MaxMemoryMiB > 0 && m.MemoryMiB <= lowMemoryMiB {
		// Since memory may come above 4 GiB, the kernel would set 64 MiB aside for
		// devices that reach none of it. Virtio's reach all; these are 4 MiB.
		args = append(args, "swiotlb=2048")
	}
	if len(c.plan.Machine.VFIO) > 0 {
		// A disk with two controllers is else one of neither, which the guest would not
		// know for a device of the host.
		args = append(args, "nvme_core.multipath=N")
	}
	if c.plan.Machine.Accel == "kvm" {
		// kvm-clock tells the guest the frequency of its counter, which is the
		// machine's own: nothing to say about clocks.
		args = append(args, c.kvmArguments()...)
	} else if khz := c.facts.Host.TSCKHz; khz > 0 {
		// The guest's counter is the host's: no need to measure it against a timer
		// that a busy host delivers late, or that a microvm does not have.
		args = append(args, "tsc_early_khz="+strconv.Itoa(khz))
	}
	if d, ok := catalogue.Find(c.plan.Kernel.Distribution); ok {
		args = append(args, d.Arguments...)
	}
	args = append(args, c.initArguments()...)
	return append(args, schema.KernelAppend.Of(c.profile)...)
}

// checkKernelFits reports what the machine needs of the kernel that it lacks.
func (c *compiler) checkKernelFits() {
	k := c.plan.Kernel
	if c.plan.Firmware.Type == firmwareEFI && !c.kernelCan.EFI {
		c.diags.Errorf("Kernel not for EFI",
			"firmware.type is \"efi\", and EFI firmware cannot start the kernel %s: it was built without CONFIG_EFI_STUB. Use another kernel, or \"seabios\" or \"qboot\".%s", k.Version, c.blame(schema.FirmwareType.Attribute))
	}
	if c.plan.Machine.Bus == busMMIO && !c.kernelCan.MMIO {
		c.diags.Errorf("Kernel not for this machine",
			"machine.type is \"microvm\", whose devices need the driver virtio_mmio, and the initramfs of the kernel %s does not have it. Where the kernel itself has it, \"runcvm install\" adds it. Use another kernel, or machine.type = \"q35\".%s", k.Version, c.blame(schema.MachineType.Attribute))
	}
}
