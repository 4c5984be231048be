// Command init is PID 1 of the KVM lab: it makes the host's root file system
// its own, sets up what KVM and container engines need, and runs the job that
// the initramfs brings. There is no shell.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/conformance/kvmlab/lab"
)

// runnerName is argv[0] of the process that runs the job. PID 1 itself only
// reaps: it must not take the exit statuses that the runner waits for.
const runnerName = "runner"

// Descriptors of the runner beside the standard ones.
const configFD = 3

func main() {
	if os.Args[0] == runnerName {
		if err := runJob(); err != nil {
			lastWords(err)
			os.Exit(1)
		}
		return
	}
	if os.Getpid() != 1 {
		// The kernel wants a module before the lab has its root: the modprobe of the
		// installed initramfs is a link to /init. The lab loads its own.
		os.Exit(1)
	}
	if err := boot(); err != nil {
		lastWords(err)
	}
	unix.Sync()
	for {
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	}
}

// lastWords leaves an error on the console, which the host shows. The kernel's
// log is on it before this returns; what is written to the console itself is
// lost when the power goes off next.
func lastWords(err error) {
	if f, openErr := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); openErr == nil {
		fmt.Fprintf(f, "<0>%s%v", lab.ErrorPrefix, err)
		_ = f.Close()
	}
}

// boot sets the lab up, and returns when the job is done.
func boot() error {
	body, err := os.ReadFile(lab.ConfigFile)
	if err != nil {
		return err
	}
	var config lab.Config
	if err := json.Unmarshal(body, &config); err != nil {
		return err
	}
	// Opened here: the initramfs is out of reach later.
	configFile, err := unix.Open(lab.ConfigFile, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for _, step := range []func(lab.Config) error{
		mountKernelFilesystems, loadFirstModules, mountHostRoot, loadModules, switchRoot,
		mountFilesystems, loopbackUp, checkDevices,
	} {
		if err := step(config); err != nil {
			return err
		}
	}
	if err := raiseLimits(); err != nil {
		return err
	}
	port, err := openPort()
	if err != nil {
		return err
	}
	runner, err := syscall.ForkExec("/proc/self/exe", []string{runnerName}, &syscall.ProcAttr{
		Dir: "/", Env: config.Job.Env, Files: []uintptr{uintptr(openNull()), uintptr(port), uintptr(port), uintptr(configFile)},
	})
	if err != nil {
		return fmt.Errorf("start the runner: %w", err)
	}
	go showLife()
	return reapUntil(runner)
}

// showLife tells the host again and again that the lab has not hung.
func showLife() {
	for ; ; time.Sleep(lab.AlivePeriod) {
		if err := os.WriteFile(filepath.Join(lab.ResultsDir, lab.AliveFile), nil, 0o644); err != nil {
			lastWords(err)
		}
	}
}

func openNull() int {
	fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	return fd
}

// reapUntil waits for all children, the lab's orphans too, until one has ended.
func reapUntil(pid int) error {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("wait for the runner: %w", err)
		case got == pid && status.Signaled():
			return fmt.Errorf("the runner was killed: %v", status.Signal())
		case got == pid && status.ExitStatus() != 0:
			return fmt.Errorf("the runner ended with code %d", status.ExitStatus())
		case got == pid:
			return nil
		}
	}
}

// runJob is the runner: it runs the job, which leaves the report for the host.
func runJob() error {
	var config lab.Config
	if err := json.NewDecoder(os.NewFile(configFD, lab.ConfigFile)).Decode(&config); err != nil {
		return err
	}
	_, err := config.Job.Run(context.Background(), os.Stdout, lab.ResultsDir)
	return err
}
