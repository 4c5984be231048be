package install

import "github.com/runcvm/runcvm/engine/plan"

// item is something of the packages that the tool root has. What it needs in
// shared libraries comes with it.
type item struct {
	glob string // of paths in the unpacked packages; folders are taken whole
	// optional items are not in every suite.
	optional bool
	reason   string
}

const qemuModules = "usr/lib/x86_64-linux-gnu/qemu/"

// contents is the whole of the tool root but libraries, virtiofsd, and our own
// files. QEMU's other modules are left out for what they would bring: audio and
// SPICE 13 libraries and GStreamer, the GL displays Mesa, GTK a desktop,
// brltty and smart cards daemons of their own.
var contents = []item{
	{glob: "usr/bin/qemu-system-x86_64", reason: "the hypervisor"},
	{glob: "usr/sbin/mke2fs", reason: "formats disks on first use"},
	{glob: "usr/sbin/debugfs", reason: "gives the root of a new disk its owner"},
	{glob: "etc/mke2fs.conf", reason: "the features that mke2fs gives an ext4"},

	{glob: qemuModules + "accel-tcg-x86_64.so", optional: true, reason: "emulation without KVM; built in from QEMU 10 on"},
	{glob: qemuModules + "hw-display-virtio-gpu.so", reason: "virtio-gpu and virtio-vga"},
	{glob: qemuModules + "hw-display-virtio-gpu-pci.so", reason: "virtio-gpu-pci"},
	{glob: qemuModules + "hw-display-virtio-vga.so", reason: "virtio-vga"},
	{glob: qemuModules + "hw-usb-host.so", reason: "USB devices of the host"},
	{glob: qemuModules + "ui-curses.so", reason: "the display on a terminal"},
	{glob: "usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache", reason: "curses converts the VGA character set with iconv"},
	{glob: "usr/lib/x86_64-linux-gnu/gconv/IBM437.so", reason: "the VGA character set"},
	{glob: "usr/lib/terminfo", optional: true, reason: "curses knows the terminal"},
	{glob: "usr/share/terminfo", optional: true, reason: "the same in trixie"},

	{glob: "usr/share/seabios/bios.bin", reason: "firmware up to 128 KiB"},
	{glob: "usr/share/seabios/bios-256k.bin", reason: "firmware of pc and q35"},
	{glob: "usr/share/seabios/bios-microvm.bin", optional: true, reason: "firmware of microvm"},
	{glob: "usr/share/seabios/vgabios*.bin", reason: "displays before the kernel's driver"},
	{glob: "usr/share/qemu/qboot.rom", optional: true, reason: "the fast firmware"},
	{glob: "usr/share/qemu/bios-microvm.bin", optional: true, reason: "firmware of microvm"},
	{glob: plan.EFICode[1:], reason: "EFI firmware"},
	{glob: plan.EFIVars[1:], reason: "the variables of EFI firmware, as they begin"},
	{glob: "usr/share/qemu/linuxboot*.bin", reason: "-kernel with a bzImage"},
	{glob: "usr/share/qemu/multiboot*.bin", reason: "-kernel with a multiboot image"},
	{glob: "usr/share/qemu/pvh.bin", reason: "-kernel with an ELF image"},
	{glob: "usr/share/qemu/kvmvapic.bin", reason: "q35 and pc load it"},
	{glob: "usr/share/qemu/keymaps", reason: "keyboards of VNC clients"},
	{glob: "usr/share/qemu/efi-*.rom", optional: true, reason: "a NIC does not start without its ROM, unless romfile= is empty"},
	{glob: "usr/lib/ipxe/qemu/efi-*.rom", optional: true, reason: "the same in bookworm"},

	{glob: "usr/lib/x86_64-linux-gnu/libgcc_s.so.1", reason: "libc opens it when a thread is cancelled"},
}

// directories are made in the tool root: mount points, which must exist since
// the root is read-only, and what programs expect.
var directories = []string{
	"dev", "etc/runcvm", "kernel", "proc", "run/runcvm", "sys", "tmp", "upper", "var", "vm/rootfs", "vm/volumes",
	// The C virtiofsd locks a file below /var/run, which is a link to /run, when
	// it makes its socket itself. With a listening descriptor it writes nothing.
	"run/virtiofsd",
}

// emptyFiles are mount points of engines that mount files.
var emptyFiles = []string{"etc/hostname", "etc/hosts", "etc/resolv.conf"}
