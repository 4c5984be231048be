package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// modulesDir holds the modules of the installed initramfs, which the lab's is
// an addition to, and moduleLists, their order.
const modulesDir = "/modules"

// moduleLists are those for the lab's devices. It has no vsock device: its
// processes reach each other by the loopback as on most hosts.
var moduleLists = []string{"load", "load.pci", "load.virtio-serial"}

// modules are those beyond the installed initramfs: the overlay and the scratch
// disk, KVM of the processor that QEMU emulates, what virtual machines are
// connected by. What an engine needs beyond that, the kernel loads itself.
var modules = []string{"overlay", "virtio_blk", "kvm_amd", "vhost_vsock", "vsock_loopback", "vhost_net", "tun"}

// devices are what the lab is for.
var devices = []string{"/dev/kvm", "/dev/vhost-vsock", "/dev/vhost-net", "/dev/net/tun"}

// loadFirstModules loads what the host's root is reached by.
func loadFirstModules(lab.Config) error {
	var names []string
	for _, list := range moduleLists {
		body, err := os.ReadFile(filepath.Join(modulesDir, list))
		if err != nil {
			return err
		}
		names = append(names, strings.Fields(string(body))...)
	}
	for _, name := range names {
		fd, err := unix.Open(filepath.Join(modulesDir, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		err = unix.FinitModule(fd, "", 0)
		_ = unix.Close(fd)
		if err != nil && err != unix.EEXIST {
			return fmt.Errorf("load the kernel module %s: %w", name, err)
		}
	}
	return nil
}

// loadModules loads the others by the host's modprobe, out of the installed
// kernel's folder.
func loadModules(config lab.Config) error {
	args := append([]string{"--dirname", config.KernelDir, "--all"}, modules...)
	cmd := exec.Command("/sbin/modprobe", args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: hostDir}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("modprobe %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func checkDevices(lab.Config) error {
	var errs []error
	for _, path := range devices {
		if _, err := os.Stat(path); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// maxOpenFiles is what systemd gives services such as container engines.
const maxOpenFiles = 1 << 19

// raiseLimits gives the tests an engine's limits and a host's name.
func raiseLimits() error {
	limit := &syscall.Rlimit{Cur: maxOpenFiles, Max: maxOpenFiles}
	if err := syscall.Setrlimit(unix.RLIMIT_NOFILE, limit); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	if err := unix.Sethostname([]byte("kvmlab")); err != nil {
		return fmt.Errorf("set the host's name: %w", err)
	}
	return nil
}

func loopbackUp(lab.Config) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("set the loopback interface up: %w", err)
	}
	return nil
}

// openPort opens the port that carries the output. The host makes it known a
// moment after its driver is there.
func openPort() (int, error) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, name := range names {
			body, err := os.ReadFile(name)
			if err == nil && strings.TrimSpace(string(body)) == lab.PortName {
				return unix.Open(filepath.Join("/dev", filepath.Base(filepath.Dir(name))), unix.O_RDWR|unix.O_CLOEXEC, 0)
			}
		}
		if time.Now().After(deadline) {
			return -1, fmt.Errorf("the port %s does not appear", lab.PortName)
		}
	}
}
