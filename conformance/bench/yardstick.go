package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/runcvm/runcvm/conformance/harness"
)

// yardstick is a bare QEMU boot: the installed kernel and QEMU, the defaults
// of a PC, and an initramfs that powers off.
type yardstick struct {
	dir string // holds the initramfs
}

func newYardstick(ctx context.Context, dir string) (*yardstick, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "init")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./conformance/bench/poweroff")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the yardstick: %w: %s", err, out)
	}
	body, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, "initramfs"))
	if err != nil {
		return nil, err
	}
	w := cpio.Newc.Writer(f)
	if err := cpio.WriteRecords(w, []cpio.Record{cpio.StaticFile("init", string(body), 0o755)}); err != nil {
		return nil, err
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, err
	}
	return &yardstick{dir: dir}, f.Close()
}

// boot runs QEMU out of the tool root, with the kernel's folder and the
// initramfs mounted into it in a mount namespace of its own.
func (y *yardstick) boot(ctx context.Context) error {
	root := filepath.Join(harness.Prefix(), "root")
	kernel, err := filepath.EvalSymlinks(filepath.Join(harness.Prefix(), "kernels/debian/latest"))
	if err != nil {
		return err
	}
	const script = `set -e
mount --bind "$1" "$3/kernel"; mount --bind "$2" "$3/run/runcvm"; mount --rbind /dev "$3/dev"
exec chroot "$3" /usr/bin/qemu-system-x86_64 -no-user-config -nodefaults -no-reboot -display none \
	-machine q35 -accel tcg -m 512 -smp 1 -kernel /kernel/vmlinuz -initrd /run/runcvm/initramfs -append "quiet panic=-1"`
	out, err := exec.CommandContext(ctx, "unshare", "--mount", "sh", "-c", script, "yardstick", kernel, y.dir, root).CombinedOutput()
	if err != nil || len(out) > 0 {
		return fmt.Errorf("the bare boot: %w: %s", err, out)
	}
	return nil
}
