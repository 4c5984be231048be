package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/u-root/u-root/pkg/cpio"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
	"github.com/runcvm/runcvm/conformance/kvmlab/toolroot"
)

// The lab's size beside its processors. Its memory is taken as it is used.
const (
	labMemoryMiB = 5120
	diskSize     = "12G" // sparse
)

// machine is one lab: a folder of its own for what it boots from, one for what
// it leaves behind, and where its output goes.
type machine struct {
	work    *work
	tools   *toolroot.Tools
	dir     string
	results string
	out     io.Writer
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

// commandLine is the kernel's. The lab's own boot counts, and each character on
// the console costs an exit.
const commandLine = "console=ttyS0 quiet panic=-1 cryptomgr.notests tsc=reliable no_timer_check " +
	"random.trust_cpu=on nowatchdog mitigations=off"

// passedCommandLine is added for devices that are passed on.
const passedCommandLine = " intel_iommu=on iommu=pt"

// passesDevices says whether a test of the job passes devices of the lab to a
// machine. Only then the lab has them, and the IOMMU that they are behind: with
// that it hangs more often.
func passesDevices(job lab.Job) bool {
	return slices.ContainsFunc(job.Programs, func(p lab.Program) bool {
		return slices.ContainsFunc(p.Argv, func(arg string) bool { return strings.Contains(arg, "TestVFIO") })
	})
}

// writeInitramfs appends the lab's PID 1 to the initramfs of the installed
// kernel, which has the modules that a root by virtiofs needs. The kernel
// unpacks both; the later /init wins.
func (m *machine) writeInitramfs(config lab.Config) error {
	installed, err := os.ReadFile(filepath.Join(config.KernelDir, "initramfs"))
	if err != nil {
		return err
	}
	program, err := os.ReadFile(m.work.path("bin", "init"))
	if err != nil {
		return err
	}
	body, err := json.Marshal(config)
	if err != nil {
		return err
	}
	f, err := os.Create(m.path("initramfs"))
	if err != nil {
		return err
	}
	// An archive begins at a multiple of four bytes.
	padded := append(installed, make([]byte, -len(installed)&3)...)
	_, err = f.Write(padded)
	archive := cpio.Newc.Writer(f)
	return errors.Join(err,
		cpio.WriteRecords(archive, []cpio.Record{
			cpio.StaticFile("init", string(program), 0o755),
			cpio.StaticFile(strings.TrimPrefix(lab.ConfigFile, "/"), string(body), 0o644),
		}),
		cpio.WriteTrailer(archive), f.Close())
}

// passedDiskSize is in bytes.
const passedDiskSize = 1 << 20

// makeDisks makes the scratch disk, with the scratch folder's content, and an empty
// one, which a test passes to a machine. They need no journal: they do not outlive the
// lab.
func (m *machine) makeDisks(ctx context.Context) error {
	if err := os.WriteFile(m.path(lab.PassedDisk), make([]byte, passedDiskSize), 0o600); err != nil {
		return err
	}
	if err := os.RemoveAll(m.path("disk")); err != nil { // an earlier lab's
		return err
	}
	return quietly(m.tools.Command(ctx, "usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal",
		"-d", m.work.scratch(), m.path("disk"), diskSize))
}

// boot runs the lab from its start to its end.
func (m *machine) boot(ctx context.Context, config lab.Config) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // ends what is left
	shares := []struct{ tag, dir string }{{lab.RootTag, "/"}, {lab.ResultsTag, m.results}}
	var daemons []*child
	defer func() {
		cancel(nil)
		for _, d := range daemons {
			_ = d.cmd.Wait()
			_ = d.log.Close()
		}
	}()
	for _, s := range shares {
		d, err := m.startVirtiofsd(ctx, s.tag, s.dir, filepath.Join(m.results, s.tag+logSuffix))
		if err != nil {
			return err
		}
		daemons = append(daemons, d)
	}
	port, guestPort, err := socketPair()
	if err != nil {
		return err
	}
	defer port.Close()
	args := m.qemuArguments(config)
	qemu, err := startChild(m.tools.Command(ctx, "usr/bin/qemu-system-x86_64", args...), filepath.Join(m.results, qemuLog), guestPort)
	_ = guestPort.Close()
	if err != nil {
		return err
	}
	defer qemu.log.Close()
	copied := make(chan struct{})
	go func() {
		// Ends with QEMU, which holds the other end.
		_, _ = io.Copy(m.out, port)
		close(copied)
	}()
	go watch(ctx, m.results, func() { cancel(errHung) })
	err = qemu.cmd.Wait()
	<-copied
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() < 0 {
		return fmt.Errorf("%w: %w", errCrashed, err)
	}
	if err != nil {
		return fmt.Errorf("the lab's QEMU: %w", err)
	}
	return nil
}

// qemuArguments describes the lab: a processor with AMD's virtualisation, the
// host's root, the folder of results, the disk, and the port of the output. For a
// test that passes devices on, it also has a disk and a network card, which is
// connected to nothing, behind an IOMMU and a port each.
func (m *machine) qemuArguments(config lab.Config) []string {
	kernel, words := config.KernelDir, commandLine
	var passed []string
	if passesDevices(config.Job) {
		words += passedCommandLine
		passed = []string{
			"-device", "intel-iommu,intremap=on",
			"-device", "pcie-root-port,id=passed-port,chassis=1",
			"-drive", "if=none,id=passed,format=raw,cache=unsafe,file=" + m.path(lab.PassedDisk),
			"-device", "virtio-blk-pci,bus=passed-port,drive=passed,serial=" + lab.PassedDisk + ",disable-legacy=on,iommu_platform=on",
			"-device", "pcie-root-port,id=passed-port2,chassis=2",
			"-device", "virtio-net-pci,bus=passed-port2,mac=" + lab.PassedMAC + ",disable-legacy=on,iommu_platform=on",
		}
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-accel", "tcg,thread=multi", "-cpu", "max", "-machine", "q35,memory-backend=ram",
		"-smp", fmt.Sprintf("cpus=%d,maxcpus=%d", config.Job.CPUs, config.Job.CPUs+1), "-m", fmt.Sprintf("%dM", labMemoryMiB),
		"-object", fmt.Sprintf("memory-backend-memfd,id=ram,size=%dM,share=on", labMemoryMiB),
		"-kernel", filepath.Join(kernel, "vmlinuz"), "-initrd", m.path("initramfs"), "-append", words,
		"-chardev", "file,id=console,path=" + filepath.Join(m.results, consoleLog), "-serial", "chardev:console",
		"-drive", "if=virtio,format=raw,cache=unsafe,file=" + m.path("disk"),
		"-device", "virtio-serial-pci", "-chardev", fmt.Sprintf("socket,id=port,fd=%d", firstFD),
		"-device", "virtserialport,chardev=port,name=" + lab.PortName,
	}
	// The IOMMU comes before what is behind it, and behind the others.
	args = append(args, passed...)
	for _, dir := range m.tools.Firmware() {
		args = append(args, "-L", dir)
	}
	for _, tag := range []string{lab.RootTag, lab.ResultsTag} {
		args = append(args, "-chardev", "socket,id="+tag+",path="+m.path(tag+".sock"),
			"-device", "vhost-user-fs-pci,queue-size=1024,chardev="+tag+",tag="+tag)
	}
	return args
}

// startVirtiofsd serves a folder on a socket that listens already.
func (m *machine) startVirtiofsd(ctx context.Context, tag, dir, log string) (*child, error) {
	path := m.path(tag + ".sock")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err // of an earlier lab
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	defer listener.Close()
	file, err := listener.File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cache := "auto"
	if tag == lab.RootTag {
		cache = "always"
	}
	return startChild(m.tools.Virtiofsd(ctx, firstFD, dir, cache), log, file)
}

// firstFD is the number that a child sees its first inherited file by.
const firstFD = 3

// child is a process that ends with this one.
type child struct {
	cmd *exec.Cmd
	log *os.File
}

func startChild(cmd *exec.Cmd, log string, inherited ...*os.File) (*child, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = f, f, inherited
	// A terminal's Ctrl-C is for this process, which ends its children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return &child{cmd: cmd, log: f}, nil
}

// socketPair is a connected pair of which the second end is for a child.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "port"), os.NewFile(uintptr(fds[1]), "port")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	return conn, theirs, err
}
