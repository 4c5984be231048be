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
	"strings"
	"syscall"
	"time"

	"github.com/u-root/u-root/pkg/cpio"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// The lab's size. Its memory is taken as it is used.
const (
	labCPUs      = 2
	labMemoryMiB = 5120
	diskSize     = "12G" // sparse
)

// commandLine is the kernel's. The lab's own boot counts, and each character on
// the console costs an exit.
const commandLine = "console=ttyS0 quiet panic=-1 cryptomgr.notests tsc=reliable no_timer_check " +
	"random.trust_cpu=on nowatchdog mitigations=off"

// runLab boots the lab, has it run the job with the output going to standard
// output, and returns its report. It leaves the console in the results.
func (w *work) runLab(ctx context.Context, o options, job lab.Job) (report lab.Report, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("the lab took longer than %s", o.limit))
	defer cancel()
	tools, err := openTools(filepath.Join(harness.Prefix(), "root"))
	if err != nil {
		return report, err
	}
	kernel, err := filepath.EvalSymlinks(filepath.Join(harness.Prefix(), "kernels/debian/latest"))
	if err != nil {
		return report, err
	}
	if err := w.writeInitramfs(lab.Config{KernelDir: kernel, Job: job}); err != nil {
		return report, err
	}
	if err := w.makeDisk(ctx, tools); err != nil {
		return report, err
	}
	start := time.Now()
	if err := w.boot(ctx, tools, kernel, o.results); err != nil {
		return report, fmt.Errorf("%w\n%s", err, lastWords(o.results))
	}
	fmt.Printf("==> The lab took %s\n", time.Since(start).Round(time.Second))
	body, err := os.ReadFile(filepath.Join(o.results, lab.ReportFile))
	if err != nil {
		return report, fmt.Errorf("the lab ended without a report\n%s", lastWords(o.results))
	}
	return report, json.Unmarshal(body, &report)
}

// lastWords are the ends of the lab's console and of the programs' logs.
func lastWords(results string) string {
	var b strings.Builder
	for _, name := range []string{consoleLog, qemuLog, lab.RootTag + logSuffix, lab.ResultsTag + logSuffix} {
		body, err := os.ReadFile(filepath.Join(results, name))
		if err != nil || len(body) == 0 {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(body)), "\n")
		fmt.Fprintf(&b, "--- %s, its end:\n%s\n", name, strings.Join(lines[max(0, len(lines)-30):], "\n"))
	}
	return b.String()
}

// Files in the results.
const (
	consoleLog = "console.log"
	qemuLog    = "qemu.log"
	logSuffix  = "-virtiofsd.log"
)

// writeInitramfs appends the lab's PID 1 to the initramfs of the installed
// kernel, which has the modules that a root by virtiofs needs. The kernel
// unpacks both; the later /init wins.
func (w *work) writeInitramfs(config lab.Config) error {
	installed, err := os.ReadFile(filepath.Join(config.KernelDir, "initramfs"))
	if err != nil {
		return err
	}
	program, err := os.ReadFile(w.path("bin", "init"))
	if err != nil {
		return err
	}
	body, err := json.Marshal(config)
	if err != nil {
		return err
	}
	f, err := os.Create(w.path("initramfs"))
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

// makeDisk makes the scratch disk, with the scratch folder's content. It needs
// no journal: it does not outlive the lab.
func (w *work) makeDisk(ctx context.Context, tools *tools) error {
	return quietly(tools.command(ctx, "usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal",
		"-d", w.scratch(), w.path("disk"), diskSize))
}

// boot runs the lab from its start to its end.
func (w *work) boot(ctx context.Context, tools *tools, kernel, results string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends what is left
	shares := []struct{ tag, dir string }{{lab.RootTag, "/"}, {lab.ResultsTag, results}}
	var daemons []*child
	defer func() {
		cancel()
		for _, d := range daemons {
			_ = d.cmd.Wait()
			_ = d.log.Close()
		}
	}()
	for _, s := range shares {
		d, err := w.startVirtiofsd(ctx, tools, s.tag, s.dir, filepath.Join(results, s.tag+logSuffix))
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
	args := w.qemuArguments(kernel, results, tools)
	qemu, err := startChild(tools.command(ctx, "usr/bin/qemu-system-x86_64", args...), filepath.Join(results, qemuLog), guestPort)
	_ = guestPort.Close()
	if err != nil {
		return err
	}
	defer qemu.log.Close()
	copied := make(chan struct{})
	go func() {
		// Ends with QEMU, which holds the other end.
		_, _ = io.Copy(os.Stdout, port)
		close(copied)
	}()
	err = qemu.cmd.Wait()
	<-copied
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("the lab's QEMU: %w", err)
	}
	return nil
}

// qemuArguments describes the lab: a processor with AMD's virtualisation, the
// host's root, the folder of results, the disk, and the port of the output.
func (w *work) qemuArguments(kernel, results string, tools *tools) []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-accel", "tcg,thread=multi", "-cpu", "max", "-machine", "q35,memory-backend=ram",
		"-smp", fmt.Sprint(labCPUs), "-m", fmt.Sprintf("%dM", labMemoryMiB),
		"-object", fmt.Sprintf("memory-backend-memfd,id=ram,size=%dM,share=on", labMemoryMiB),
		"-kernel", filepath.Join(kernel, "vmlinuz"), "-initrd", w.path("initramfs"), "-append", commandLine,
		"-chardev", "file,id=console,path=" + filepath.Join(results, consoleLog), "-serial", "chardev:console",
		"-drive", "if=virtio,format=raw,cache=unsafe,file=" + w.path("disk"),
		"-device", "virtio-serial-pci", "-chardev", fmt.Sprintf("socket,id=port,fd=%d", firstFD),
		"-device", "virtserialport,chardev=port,name=" + lab.PortName,
	}
	for _, dir := range tools.firmware() {
		args = append(args, "-L", dir)
	}
	for _, tag := range []string{lab.RootTag, lab.ResultsTag} {
		args = append(args, "-chardev", "socket,id="+tag+",path="+w.path(tag+".sock"),
			"-device", "vhost-user-fs-pci,queue-size=1024,chardev="+tag+",tag="+tag)
	}
	return args
}

// startVirtiofsd serves a folder on a socket that listens already.
func (w *work) startVirtiofsd(ctx context.Context, tools *tools, tag, dir, log string) (*child, error) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: w.path(tag + ".sock")})
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
	return startChild(tools.virtiofsd(ctx, firstFD, dir, cache), log, file)
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
