package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/vmm"
)

// shareSocket is virtiofsd's listening socket in the state folder, removed as
// soon as QEMU's connection has been made.
const shareSocket = "share.sock"

// startChild starts a process of the plan and ends the run when it dies
// before it may.
func (s *Supervisor) startChild(name string, argv []string, files []*os.File) (*vmm.Child, error) {
	s.log.Debug("start", "name", name, "argv", argv)
	child, err := vmm.StartChild(name, argv, files, logWriter{s.log, name})
	if err != nil {
		return nil, err
	}
	go func() {
		<-child.Done()
		if child != s.qemu && child.ExitedCleanly() {
			// virtiofsd ends when QEMU does, and is known to have done so first.
			select {
			case <-s.stopping:
			case <-time.After(2 * time.Second):
			}
		}
		select {
		case <-s.stopping:
		default:
			s.fail(s.epitaph(child))
		}
	}()
	return child, nil
}

// epitaph tells who died. QEMU that ends in good order by itself was asked to
// by its guest: a kernel panic reboots, and QEMU does not.
func (s *Supervisor) epitaph(child *vmm.Child) error {
	if child == s.qemu && child.ExitedCleanly() {
		return errors.New("the guest ended before the entrypoint did" + s.console.Quote())
	}
	return errors.New(child.Epitaph())
}

// startVirtiofsd starts virtiofsd on a socket that listens already, so that
// nobody waits for it.
func (s *Supervisor) startVirtiofsd(context.Context) error {
	path := filepath.Join(s.dir, shareSocket)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return fmt.Errorf("listen for QEMU on behalf of virtiofsd: %w", err)
	}
	defer listener.Close() // and remove the path: both ends are open by then
	file, err := listener.File()
	if err != nil {
		return fmt.Errorf("hand virtiofsd its socket: %w", err)
	}
	if s.virtiofs, err = s.startChild("virtiofsd", s.plan.Processes["virtiofsd"].Argv, []*os.File{file}); err != nil {
		return err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		return fmt.Errorf("connect QEMU to virtiofsd: %w", err)
	}
	defer conn.Close() // File duplicates it
	if s.share, err = conn.File(); err != nil {
		return fmt.Errorf("hand QEMU its connection to virtiofsd: %w", err)
	}
	s.timeline.mark(milestoneVirtiofsd)
	return nil
}

// startQEMU starts QEMU with its monitor, console, agent port, share and taps,
// and connects to the first three.
func (s *Supervisor) startQEMU(ctx context.Context) error {
	sockets := []string{plan.FDQMP - 3: "monitor", plan.FDConsole - 3: "console", plan.FDAgent - 3: "agent"}
	conns := make([]net.Conn, len(sockets))
	var files []*os.File
	for i, name := range sockets {
		conn, file, err := vmm.SocketPair(name)
		if err != nil {
			return err
		}
		conns[i], files = conn, append(files, file)
	}
	files = append(files, s.share) // plan.FDShare
	files = append(files, s.network.taps...)
	argv := append(s.plan.Processes["qemu"].Argv[:len(s.plan.Processes["qemu"].Argv):len(s.plan.Processes["qemu"].Argv)], s.network.qemuArgs...)
	var err error
	if s.qemu, err = s.startChild("QEMU", argv, files); err != nil {
		return err
	}
	s.timeline.mark(milestoneQEMU)
	go s.readConsole(conns[plan.FDConsole-3])
	if s.guest, err = connectGuest(conns[plan.FDAgent-3], s.relayDNS); err != nil {
		return err
	}
	s.qmp, err = vmm.NewQMP(ctx, conns[plan.FDQMP-3], func(e vmm.Event) {
		s.log.Debug("QMP event", "name", e.Name, "data", string(e.Data))
	})
	return err
}

// readConsole keeps the console's last lines and logs all of them.
func (s *Supervisor) readConsole(conn net.Conn) {
	_, _ = io.Copy(io.MultiWriter(s.console, logWriter{s.log, "console"}), conn)
}

// ignoredSignals are not forwarded: the Go runtime's own, and those that the
// kernel sends about the supervisor's children and descriptors.
var ignoredSignals = map[syscall.Signal]bool{
	syscall.SIGURG: true, syscall.SIGCHLD: true, syscall.SIGPIPE: true,
	syscall.SIGTTIN: true, syscall.SIGTTOU: true,
}
