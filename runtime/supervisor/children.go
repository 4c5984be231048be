package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/vmm"
)

// shareSocket is virtiofsd's listening socket in the state folder, removed as
// soon as QEMU's connection has been made.
const shareSocket = "share.sock"

// Names of the children, for messages.
const (
	nameQEMU      = "QEMU"
	nameVirtiofsd = "virtiofsd"
)

// children are the programs that have been started. A signal may end them
// while others are still being started.
type children struct {
	mu  sync.Mutex
	all []*vmm.Child
}

func (c *children) add(child *vmm.Child) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, child)
}

// kill ends those that still run and waits for their end.
func (c *children) kill() {
	c.mu.Lock()
	all := slices.Clone(c.all)
	c.mu.Unlock()
	var wg sync.WaitGroup
	for _, child := range all {
		wg.Go(child.Kill)
	}
	wg.Wait()
}

// startChild starts a process of the plan and ends the run when it dies
// before it may.
func (s *Supervisor) startChild(name string, p plan.Process, files []*os.File) (*vmm.Child, error) {
	return s.startChildOn(nil, name, p, files)
}

// startChildOn is startChild with a terminal, nil for none.
func (s *Supervisor) startChildOn(terminal *vmm.Terminal, name string, p plan.Process, files []*os.File) (*vmm.Child, error) {
	s.log.Debug("start", "name", name, "argv", p.Argv, "env", p.Env)
	output := &logWriter{log: s.log, name: name}
	child, err := vmm.StartChild(name, p.Argv, p.Env, files, output, terminal)
	if err != nil {
		return nil, err
	}
	s.children.add(child)
	go func() {
		<-child.Done()
		if name == nameQEMU {
			s.logEnd(child)
		}
		if name != nameQEMU && child.ExitedCleanly() {
			// virtiofsd ends when QEMU does, and is known to have done so first.
			select {
			case <-s.stopping:
			case <-time.After(deathIsKnown):
			}
		}
		select {
		case <-s.stopping:
		default:
			if name == nameQEMU && child.ExitedCleanly() && s.mayEnd() {
				s.endMachine()
				return
			}
			s.fail(s.epitaph(child))
		}
	}()
	return child, nil
}

// startQEMUProcess starts QEMU, on the container's terminal where the plan says
// that it shows the screen there.
func (s *Supervisor) startQEMUProcess(p plan.Process, files []*os.File) (*vmm.Child, error) {
	if s.plan.Display.Mode != plan.DisplayCurses {
		return s.startChild(nameQEMU, p, files)
	}
	return s.startChildOn(&vmm.Terminal{File: s.stdio.In, Type: os.Getenv("TERM")}, nameQEMU, p, files)
}

// epitaph tells who died. QEMU that ends in good order by itself was asked to
// by its guest: a kernel panic reboots, and QEMU does not.
func (s *Supervisor) epitaph(child *vmm.Child) error {
	if child.Name == nameQEMU && child.ExitedCleanly() {
		return errors.New("the guest ended before the entrypoint did" + s.console.Quote())
	}
	return errors.New(child.Epitaph())
}

// startVirtiofsd starts the virtiofsd of each share.
func (s *Supervisor) startVirtiofsd(context.Context) (err error) {
	if s.shares[0], err = s.startShare(plan.ProcessVirtiofsd); err != nil {
		return err
	}
	if s.plan.Rootfs.VolumesCache != "" {
		if s.shares[1], err = s.startShare(plan.ProcessVolumes); err != nil {
			return err
		}
	}
	s.timeline.mark(milestoneVirtiofsd)
	return nil
}

// startShare starts a virtiofsd on a socket that listens already, so that nobody
// waits for it, and returns the connection to it.
func (s *Supervisor) startShare(process string) (*os.File, error) {
	path := filepath.Join(s.dir, shareSocket)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return nil, fmt.Errorf("listen for QEMU on behalf of virtiofsd: %w", err)
	}
	defer listener.Close() // and remove the path: both ends are open by then
	file, err := listener.File()
	if err != nil {
		return nil, fmt.Errorf("hand virtiofsd its socket: %w", err)
	}
	if _, err = s.startChild(nameVirtiofsd, s.plan.Processes[process], []*os.File{file}); err != nil {
		return nil, err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return nil, fmt.Errorf("connect QEMU to virtiofsd: %w", err)
	}
	defer conn.Close() // File duplicates it
	share, err := conn.File()
	if err != nil {
		return nil, fmt.Errorf("hand QEMU its connection to virtiofsd: %w", err)
	}
	return share, nil
}

// startQEMU starts QEMU with its monitor, console, agent's device, share and
// taps, and connects to the first two.
func (s *Supervisor) startQEMU(ctx context.Context) error {
	sockets := []string{plan.FDQMP - 3: "monitor", plan.FDConsole - 3: "console"}
	conns := make([]net.Conn, len(sockets))
	var files []*os.File
	for i, name := range sockets {
		conn, file, err := vmm.SocketPair(name)
		if err != nil {
			return err
		}
		conns[i], files = conn, append(files, file)
	}
	files = append(files, s.agent.file) // plan.FDAgent
	files = append(files, s.shares[0])  // plan.FDShare
	kvm, err := s.openKVM()
	if err != nil {
		return err
	}
	firmware, err := s.openFirmware()
	if err != nil {
		return err
	}
	files = append(files, kvm)         // plan.FDKVM
	files = append(files, s.shares[1]) // plan.FDVolumes
	files = append(files, firmware)    // plan.FDFirmware
	files = append(files, s.disks...)  // plan.FDFirstDisk
	files = append(files, s.network.files...)
	p := s.plan.Processes[plan.ProcessQEMU]
	p.Argv = slices.Concat(p.Argv, s.agent.qemuArgs, s.network.qemuArgs)
	if s.qemu, err = s.startQEMUProcess(p, files); err != nil {
		return err
	}
	s.timeline.mark(milestoneQEMU)
	s.consoleDone = make(chan struct{})
	s.serial = conns[plan.FDConsole-3]
	go s.readConsole(s.serial)
	s.qmp, err = vmm.NewQMP(ctx, conns[plan.FDQMP-3], func(e vmm.Event) {
		s.log.Debug("QMP event", "name", e.Name, "data", string(e.Data))
		s.ending.notice(e)
		s.hotplug.notice(e)
	})
	if err != nil {
		return s.stillborn(err)
	}
	return nil
}

// stillborn is why QEMU did not take up its monitor: its own words, where it has
// ended.
func (s *Supervisor) stillborn(err error) error {
	select {
	case <-s.qemu.Done():
		return errors.New(s.qemu.Epitaph())
	case <-time.After(deathIsKnown):
		return err
	}
}

// openKVM opens /dev/kvm for QEMU, or returns nil where QEMU does that itself, or
// does not use it.
func (s *Supervisor) openKVM() (*os.File, error) {
	if !s.plan.Machine.KVMDescriptor {
		return nil, nil
	}
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("KVM is not usable in the container: %w; let its cgroup have the device, or run in software (machine.accel = \"tcg\" in a profile)", err)
	}
	return f, nil
}

// readConsole keeps the console's last lines and logs all of them.
func (s *Supervisor) readConsole(conn net.Conn) {
	defer close(s.consoleDone)
	output := &logWriter{log: s.log, name: "console"}
	writers := []io.Writer{s.console, output}
	if s.plan.Init.Mode == plan.InitExec {
		writers = append(writers, &s.ending.console)
	}
	if s.plan.Display.Mode == plan.DisplaySerial {
		writers = append(writers, lossless{s.stdio.Out})
	}
	_, _ = io.Copy(io.MultiWriter(writers...), conn)
	output.flush()
}

// ignoredSignals are not forwarded: the Go runtime's own, and those that the
// kernel sends about the supervisor's children and descriptors.
var ignoredSignals = map[syscall.Signal]bool{
	syscall.SIGURG: true, syscall.SIGCHLD: true, syscall.SIGPIPE: true,
	syscall.SIGTTIN: true, syscall.SIGTTOU: true,
}
