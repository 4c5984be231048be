package install

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// neededDevices are those without which no VM of ours starts.
var neededDevices = []string{
	"virtio-net-pci", "vmxnet3", "e1000e", "e1000", "rtl8139",
	"virtio-serial-pci", "virtserialport", "vhost-user-fs-pci", "vhost-vsock-pci", "virtio-blk-pci", "virtio-rng-pci", "virtio-vga", "virtio-gpu-pci",
	"virtio-net-device", "virtio-serial-device", "vhost-user-fs-device", "vhost-vsock-device", "virtio-blk-device", "isa-debugcon", "isa-serial",
}

// checkTools runs the programs of a tool root within it and returns what they
// say of themselves.
func checkTools(ctx context.Context, root string, s suite) (toolsManifest, error) {
	m := toolsManifest{VirtiofsdKind: s.virtiofsdKind, VirtiofsdPath: s.virtiofsd}
	out, err := run(ctx, inRoot(ctx, root, plan.QEMUPath, "--version"))
	if err != nil {
		return m, err
	}
	if m.QEMUVersion = parseQEMUVersion(string(out)); m.QEMUVersion == "" {
		return m, fmt.Errorf("qemu-system-x86_64 --version prints %q, which holds no version", out)
	}
	devices, err := run(ctx, inRoot(ctx, root, plan.QEMUPath, "-machine", "q35,accel=tcg", "-device", "help"))
	if err != nil {
		return m, err
	}
	for _, d := range neededDevices {
		if !strings.Contains(string(devices), `name "`+d+`"`) {
			return m, fmt.Errorf("QEMU %s has no device %s", m.QEMUVersion, d)
		}
	}
	if err := startMachine(ctx, root); err != nil {
		return m, err
	}
	if _, err := run(ctx, inRoot(ctx, root, "/usr/sbin/mke2fs", "-V")); err != nil {
		return m, err
	}
	if err := privately(root, func() error { return startVirtiofsd(ctx, root, s) }); err != nil {
		return m, err
	}
	if err := askProcessors(ctx, root, &m); err != nil {
		return m, err
	}
	m.Qboot, err = exists(root, "usr/share/qemu/qboot.rom")
	if err != nil {
		return m, err
	}
	code, err := exists(root, plan.EFICode)
	if err != nil {
		return m, err
	}
	variables, err := exists(root, plan.EFIVars)
	m.EFI = code && variables
	return m, err
}

func exists(root, name string) (bool, error) {
	_, err := os.Stat(filepath.Join(root, name))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// startMachine makes a whole machine with a display, paused, and ends it: that
// needs the accelerator's module, the display's and the firmware.
func startMachine(ctx context.Context, root string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	cmd := inRoot(ctx, root, plan.QEMUPath, "-machine", "q35,accel=tcg", "-m", "64", "-nodefaults", "-display", "none",
		"-device", "virtio-vga", "-device", "virtio-net-pci", "-S", "-qmp", "stdio")
	cmd.Stdin = strings.NewReader(`{"execute":"qmp_capabilities"}{"execute":"query-status"}{"execute":"quit"}`)
	out, err := run(ctx, cmd)
	if err == nil && !strings.Contains(string(out), `"SHUTDOWN"`) {
		err = &commandError{args: cmd.Args, output: out, err: errors.New("it ended without being told to")}
	}
	return err
}

// loader is glibc's, in the tool root and in each suite's packages.
const loader = "/lib64/ld-linux-x86-64.so.2"

// checkTimeout bounds one check. The slowest takes two seconds on a busy machine.
const checkTimeout = time.Minute

// startVirtiofsd starts the file server as a VM does, with its share, its
// sandbox and a listening socket, and ends it by a client that comes and goes.
func startVirtiofsd(ctx context.Context, root string, s suite) error {
	address := &net.UnixAddr{Name: fmt.Sprintf("@runcvm-install-%d", os.Getpid()), Net: "unix"}
	listener, err := net.ListenUnix("unix", address)
	if err != nil {
		return err
	}
	defer listener.Close()
	file, err := listener.File()
	if err != nil {
		return err
	}
	defer file.Close()
	client, err := net.DialUnix("unix", nil, address)
	if err != nil {
		return err
	}
	client.Close()

	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	args := []string{"--fd=3", "-o", "source=" + plan.ShareMount, "-o", "sandbox=chroot"}
	if s.virtiofsdKind == "rust" {
		args = []string{"--fd=3", "--shared-dir", plan.ShareMount, "--sandbox", "chroot"}
	}
	cmd := inRoot(ctx, root, s.virtiofsd, args...)
	cmd.ExtraFiles = []*os.File{file}
	cmd.Env = append(cmd.Env, "LD_PRELOAD="+plan.HardlinksPath)
	if _, err := run(ctx, cmd); err != nil {
		return err
	}
	// A library that cannot be preloaded is left out with a warning alone.
	_, err = run(ctx, inRoot(ctx, root, loader, "--list", plan.HardlinksPath))
	return err
}

// privately calls f on a thread with a mount namespace of its own, in which the
// root has a /proc. Processes that f starts are in that namespace.
func privately(root string, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread never ends, and /proc/self shows its mounts. While
			// it is held here, another one serves.
			defer runtime.UnlockOSThread()
			result <- privately(root, f)
			return
		}
		// This one is not unlocked: it ends with the goroutine.
		result <- inMountNamespace(root, f)
	}()
	return <-result
}

func inMountNamespace(root string, f func() error) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc in the tool root: %w", err)
	}
	return f()
}

// inRoot returns a command that runs with root as its root.
func inRoot(ctx context.Context, root, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	return cmd
}

var qemuVersion = regexp.MustCompile(`^QEMU emulator version (\d+\.\d+\.\d+)`)

func parseQEMUVersion(s string) string {
	if m := qemuVersion.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}
