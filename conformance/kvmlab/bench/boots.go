package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/toolroot"
)

// boots compares ways to boot: bare QEMU boots to a power-off by image and
// firmware, the product's whole `runcvm run true` by firmware and machine, and
// both.
func (b *bench) boots(ctx context.Context) ([]row, error) {
	bare, err := b.newBare()
	if err != nil {
		return nil, err
	}
	path := func(image string, firmware ...string) func(context.Context) (float64, error) {
		return timed(func(ctx context.Context) error { return bare.boot(ctx, image, firmware...) })
	}
	ours := func(name, profile string) (func(context.Context) (float64, error), error) {
		m, err := b.newMachine("boot-"+name, profile, nil, "true")
		return timed(func(ctx context.Context) error {
			out, err := m.command(ctx, "run", "--bundle", m.dir, m.id).CombinedOutput()
			if err != nil {
				return fmt.Errorf("runcvm run: %w: %s", err, out)
			}
			return nil
		}), err
	}
	seabios, err := ours("seabios", "")
	if err != nil {
		return nil, err
	}
	qboot, err := ours("qboot", "firmware {\n  type = \"qboot\"\n}")
	if err != nil {
		return nil, err
	}
	microvm, err := ours("microvm", "inherits = [\"microvm\"]")
	if err != nil {
		return nil, err
	}
	elf := choice{"seabios, vmlinux (PVH)", path("vmlinux")}
	run := choice{"runcvm run true, seabios", seabios}
	return measure(ctx, b.samples,
		row{what: "bare QEMU, boot to power-off", unit: milliseconds, first: choice{"seabios, bzImage", path("vmlinuz")}, second: elf},
		row{what: "bare QEMU, boot to power-off", unit: milliseconds, first: elf, second: choice{"qboot, vmlinux (PVH)", path("vmlinux", "-bios", "qboot.rom")}},
		row{what: "the whole command", unit: milliseconds, first: run, second: choice{"runcvm run true, qboot", qboot}},
		row{what: "the whole command", unit: milliseconds, first: run, second: choice{"runcvm run true, microvm", microvm}},
		row{what: "ours beside the bare boot", unit: milliseconds, first: run, second: elf},
	)
}

// bare boots the installed kernel by the installed QEMU, with an initramfs that
// powers off.
type bare struct {
	accel, kernel, initramfs string
	tools                    *toolroot.Tools
}

func (b *bench) newBare() (*bare, error) {
	tools, err := toolroot.Open(harness.Prefix())
	if err != nil {
		return nil, err
	}
	kernel, err := filepath.EvalSymlinks(filepath.Join(harness.Prefix(), "kernels/debian/latest"))
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(b.poweroff)
	if err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(b.dir, "initramfs"))
	if err != nil {
		return nil, err
	}
	archive := cpio.Newc.Writer(f)
	err = errors.Join(
		cpio.WriteRecords(archive, []cpio.Record{cpio.StaticFile("init", string(program), 0o755)}),
		cpio.WriteTrailer(archive), f.Close())
	return &bare{accel: b.accel, kernel: kernel, initramfs: f.Name(), tools: tools}, err
}

func (b *bare) boot(ctx context.Context, image string, more ...string) error {
	cpu := map[string]string{"kvm": "host", "tcg": "max"}[b.accel]
	args := slices.Concat([]string{
		"-no-user-config", "-nodefaults", "-no-reboot", "-display", "none",
		"-machine", "q35", "-accel", b.accel, "-cpu", cpu, "-m", "512", "-smp", "1",
		"-kernel", filepath.Join(b.kernel, image), "-initrd", b.initramfs, "-append", "quiet panic=-1",
	}, more)
	for _, dir := range b.tools.Firmware() {
		args = append(args, "-L", dir)
	}
	out, err := b.tools.Command(ctx, "usr/bin/qemu-system-x86_64", args...).CombinedOutput()
	if err != nil || len(out) > 0 {
		return fmt.Errorf("the bare boot: %w: %s", err, out)
	}
	return nil
}
