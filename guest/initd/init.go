// Package initd is the VM's PID 1. It lives in the initramfs: it loads modules,
// connects to the supervisor, sets up the network and serves the session until
// it powers the VM off. The container's processes are package agent's.
package initd

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/api"
)

// Where things are in the initramfs.
const (
	modulesDir = "/modules"
	shareDir   = "/share"
	rootDir    = "/newroot"
)

// portWait is how long the agent's port may take to appear. It is there as soon
// as its driver is, so that a VM without one fails soon.
const portWait = 10 * time.Second

// Main boots the VM and serves it. It does not return: a PID 1 that ends is a
// kernel panic.
func Main() {
	defer dieOfPanic()
	var times timeline
	times.mark(api.MilestoneInit)
	die(start(&times).Error())
}

func dieOfPanic() {
	if r := recover(); r != nil {
		die(fmt.Sprintf("panic: %v\n%s", r, debug.Stack()))
	}
}

// start makes this process what the kernel's command line says: the VM's PID 1
// for good, or what the entrypoint replaces. It returns when the VM cannot go
// on.
func start(times *timeline) error {
	if err := mountKernelFilesystems(); err != nil {
		return err
	}
	raiseLimits()
	ignoreSignals()
	replaced, err := isReplaced(commandLine)
	if err != nil {
		return err
	}
	if replaced {
		return makeWay()
	}
	return run(times, agent.Config{})
}

// commandLine is the file with the kernel's.
const commandLine = "/proc/cmdline"

// run boots and serves. It returns when the VM cannot go on.
func run(times *timeline, config agent.Config) error {
	unix.Umask(0) // nodes and folders have the modes that they are given
	config.Reaper, config.Spawn = agent.NewReaper(), guarded
	config.ShareDir, config.RootDir = shareDir, rootDir
	a, err := agent.New(config)
	if err != nil {
		return err
	}
	// A module that fails is the boot's failure, told over the session when its
	// own driver is there.
	modulesErr := errors.Join(loadModules(modulesDir, modulesList), loadBuses(modulesDir, "/sys/bus"))
	link := findTransport(virtioBus)
	modulesErr = errors.Join(modulesErr, loadModules(modulesDir, link.modules))
	words, err := os.ReadFile(commandLine)
	if err != nil {
		return err
	}
	for _, list := range deviceModules(string(words)) {
		modulesErr = errors.Join(modulesErr, loadModules(modulesDir, list))
	}
	times.mark(api.MilestoneModules)

	boot := &boot{agent: a, times: times}
	boot.shareMounted = make(chan error, 1)
	guarded(func() {
		if modulesErr != nil {
			boot.shareMounted <- modulesErr
			return
		}
		boot.shareMounted <- a.MountShare(api.ShareTag)
	})
	port, err := link.open()
	if err != nil {
		if modulesErr != nil {
			return modulesErr
		}
		return err
	}
	times.mark(api.MilestoneConnected)
	err = serve(api.JoinFrames(port), a, boot)
	// Without a supervisor, nobody would ever end this VM.
	_ = a.Shutdown(stopWait)
	return fmt.Errorf("the supervisor has gone: %w", err)
}

// mountKernelFilesystems mounts what the guest itself needs.
func mountKernelFilesystems() error {
	for _, m := range []struct{ fstype, dir string }{
		{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"},
	} {
		if err := os.Mkdir(m.dir, 0o755); err != nil && !os.IsExist(err) {
			return err
		}
		// EBUSY: the kernel has mounted it (CONFIG_DEVTMPFS_MOUNT).
		err := unix.Mount(m.fstype, m.dir, m.fstype, unix.MS_NOSUID|unix.MS_NOEXEC, "")
		if err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	return nil
}

// defaultNoFile is Docker's own usual limit on open files; the kernel's, 1024
// and 4096, would be the container's otherwise.
const defaultNoFile = 1 << 20

// raiseLimits sets what the container's processes have when the specification
// does not say. Best effort: a kernel with a lower maximum keeps it.
func raiseLimits() {
	_ = syscall.Setrlimit(unix.RLIMIT_NOFILE, &syscall.Rlimit{Cur: defaultNoFile, Max: defaultNoFile})
	unlimited := &syscall.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	_ = syscall.Setrlimit(unix.RLIMIT_NPROC, unlimited)
	_ = syscall.Setrlimit(unix.RLIMIT_CORE, unlimited)
}

// ignoreSignals keeps signals of the kernel (ctrl-alt-del, a power button) from
// ending this process. They are caught, not ignored: what is ignored stays so
// in every process of the container.
func ignoreSignals() {
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGPWR, unix.SIGWINCH)
}

// guarded runs f in a goroutine whose panic ends the VM with a message.
func guarded(f func()) {
	go func() {
		defer dieOfPanic()
		f()
	}()
}

// die leaves the last words on the console and powers the VM off.
func die(words string) {
	console := os.Stderr
	if f, err := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY, 0); err == nil {
		console = f
	}
	fmt.Fprintf(console, "runcvm-guest: %s\n", words)
	powerOff()
}

// powerOff writes out what is not, and ends the VM. It does not return.
func powerOff() {
	syncBounded(syncWait)
	for {
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
		// Only a kernel without power management comes here; a restart ends a VM
		// that is not to be restarted, too.
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
		time.Sleep(time.Second)
	}
}
