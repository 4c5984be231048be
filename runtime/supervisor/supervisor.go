// Package supervisor is the container's PID 1. It runs virtiofsd and QEMU as a
// plan says, connects the container's network, stdio and signals to the VM,
// and ends with the entrypoint's exit code.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/guest/api"
	vmnet "github.com/runcvm/runcvm/runtime/net"
	"github.com/runcvm/runcvm/runtime/supervisor/control"
	"github.com/runcvm/runcvm/runtime/vmm"
)

// FailureCode is the exit code of a container whose VM could not run, as
// Docker uses it for failures of its own.
const FailureCode = 125

// PlanFile is the plan's name in the state folder.
const PlanFile = "plan.json"

// Stdio is the container's own stdio.
type Stdio struct{ In, Out, Err *os.File }

// Supervisor runs one VM.
type Supervisor struct {
	dir   string // the state folder
	plan  *plan.Plan
	stdio Stdio
	log   *slog.Logger

	timeline timeline
	children children
	qemu     *vmm.Child
	qmp      *vmm.QMP
	console  *vmm.Tail
	serial   net.Conn // the console's connection
	// consoleDone is closed when QEMU has closed the console.
	consoleDone chan struct{}

	agent   agentLink
	guest   *guest                // valid once the agent is connected
	shares  [2]*os.File           // QEMU's connections to virtiofsd, until QEMU has them: plan.FDShare, plan.FDVolumes
	disks   []*os.File            // until QEMU has them
	sockets map[string]hostSocket // by their volumes
	network network
	hotplug hotplug
	dns     vmnet.DNSRelay

	resizing sync.Mutex // held while the machine is changed

	// fail ends the run: the VM cannot go on, and the cause says why.
	fail     context.CancelCauseFunc
	stopping chan struct{} // closed when the children may end
	stopOnce sync.Once

	breakpoints breakpoints
	exitFile    exitFile
	entrypoint  entrypoint
	execs       execs
	ending      ending
}

// Run supervises the VM of the plan in the state folder dir until it ends, and
// returns the container's exit code. An error has been reported on stdio.Err
// in one line.
func Run(dir string, stdio Stdio) int {
	s := &Supervisor{
		dir: dir, stdio: stdio,
		console:  vmm.NewTail(),
		stopping: make(chan struct{}),
	}
	s.timeline.mark(milestoneSupervisor)
	s.timeline.read(dir)
	s.execs.init()
	s.ending.init()
	s.breakpoints.init()
	signals := notify()
	var err error
	if s.log, err = openLog(dir); err != nil {
		return s.report(err)
	}
	if s.plan, err = readPlan(dir); err != nil {
		return s.report(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	s.fail = cancel
	go s.forwardSignals(signals)
	code, err := s.run(ctx)
	if err != nil {
		err = s.cause(ctx, err)
	}
	s.killChildren()
	s.timeline.mark(milestoneExit)
	if werr := s.timeline.write(dir); werr != nil {
		s.log.Warn("write the timeline", "error", werr)
	}
	var ended endedBySignal
	switch {
	case errors.As(err, &ended):
		return ended.code()
	case err != nil:
		return s.report(err)
	}
	return code
}

// readPlan reads the plan that `create` left in dir.
func readPlan(dir string) (*plan.Plan, error) {
	data, err := os.ReadFile(filepath.Join(dir, PlanFile))
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	return plan.Decode(data)
}

// run boots the VM, runs the entrypoint and shuts down.
func (s *Supervisor) run(ctx context.Context) (int, error) {
	s.exitFile.note()
	steps := []func(context.Context) error{
		s.openAgent,
		s.listenControl,
		s.openSockets,
		s.breakpoint(plan.BreakPreNet),
		s.attachNetwork,
		s.startVirtiofsd,
		s.breakpoint(plan.BreakPostNet),
		s.openDisks,
		s.checkVFIO,
		s.breakpoint(plan.BreakPreQEMU),
		s.startQEMU,
		s.bootGuest,
		s.watchNetwork,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return 0, err
		}
	}
	code, err := s.runEntrypoint(ctx)
	if err != nil {
		return 0, err
	}
	if !s.ending.over() {
		s.shutdown(ctx)
	}
	s.awaitSerial(ctx)
	return s.leftCode(code), nil
}

// bootGuest waits until the guest can run processes.
func (s *Supervisor) bootGuest(ctx context.Context) error {
	limit := time.Duration(s.plan.Agent.BootTimeoutSeconds) * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var event api.Event
	conn, err := s.agent.connect(ctx)
	if err == nil {
		err = greeted(ctx, conn)
	}
	if err == nil {
		s.guest, err = connectGuest(conn, servers{api.KindDNS: s.relayDNS, api.KindSocket: s.relaySocket})
	}
	if err == nil {
		event, err = s.guest.start(ctx, s.bootConfig())
	}
	s.timeline.addGuest(event)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the VM was not ready within %s (agent.boot_timeout)%s", limit, s.console.Quote())
	case err != nil && event.Type == api.EventFailed:
		return fmt.Errorf("the guest could not set itself up: %w", err)
	}
	return err
}

// bootConfig is the guest's part of the plan, with the network as it is now.
func (s *Supervisor) bootConfig() api.Boot {
	g := &s.plan.Guest
	boot := api.Boot{
		Hostname:    g.Hostname,
		Domainname:  g.Domainname,
		ReadOnly:    s.plan.Rootfs.ReadOnly,
		Devices:     g.Devices,
		Sysctl:      g.Sysctl,
		PidsLimit:   g.PidsLimit,
		Seccomp:     (*api.SyscallFilter)(g.Seccomp),
		KnownFiles:  g.KnownFiles,
		PassedSlots: s.plan.Machine.PassedSlots(),
		Modules:     s.plan.Kernel.SharedModules(),

		MaskedPaths:   g.MaskedPaths,
		ReadonlyPaths: g.ReadonlyPaths,

		Interfaces: s.network.interfaces,
		Routes:     s.network.routes,
		NoIPv6:     s.network.noIPv6,
		DNSRelay:   s.network.dnsRelay,

		VolumesShare: s.plan.Rootfs.VolumesCache != "",
	}
	if boot.Hostname == "" {
		// The container's own name is that of the UTS namespace that it joined.
		// Uname cannot fail.
		boot.Hostname, _ = os.Hostname()
	}
	if c := s.plan.Cgroupfs; c.Mode != "none" {
		boot.Cgroupfs = &api.Cgroupfs{Mode: c.Mode, Optional: c.Reason != "", ReadOnly: c.ReadOnly}
	}
	for _, socket := range s.plan.Sockets {
		boot.Sockets = append(boot.Sockets, s.sockets[socket.Volume].guest())
	}
	for _, d := range s.plan.BlockDevices {
		boot.DiskNodes = append(boot.DiskNodes, api.DiskNode{Serial: d.Name, Device: d.Node})
	}
	for _, m := range g.Mounts {
		boot.Mounts = append(boot.Mounts, api.Mount(m))
	}
	return boot
}

// shutdown ends the VM in good order, each step bounded; what does not end by
// itself is killed afterwards.
func (s *Supervisor) shutdown(ctx context.Context) {
	limit := time.Duration(s.plan.Agent.StopTimeoutSeconds) * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s.beginStop()
	if err := s.guest.shutdown(ctx); err != nil {
		s.log.Warn("clean shutdown", "error", err)
		return
	}
	s.timeline.mark(milestoneSynced)
	if err := s.qmp.Execute(ctx, "quit", nil, nil); err != nil && !errors.Is(err, vmm.ErrClosed) {
		s.log.Warn("quit QEMU", "error", err)
		return
	}
	select {
	case <-s.qemu.Done():
	case <-ctx.Done():
	}
}

// beginStop says that the children's end is expected from now on.
func (s *Supervisor) beginStop() {
	s.stopOnce.Do(func() { close(s.stopping) })
}

// killChildren ends what still runs.
func (s *Supervisor) killChildren() {
	s.beginStop()
	s.children.kill()
}

// deathIsKnown is how long what ends with QEMU, the agent stream and virtiofsd,
// waits for the news of its cause: QEMU's descriptors close before its end is
// known.
const deathIsKnown = 2 * time.Second

// cause is what really ended the run: when a child died, every wait on the
// guest fails too, and only the first cause is worth telling.
func (s *Supervisor) cause(ctx context.Context, err error) error {
	if s.guest == nil && errors.Is(err, errGuestGone) || s.guest != nil && s.guest.session.IsClosed() {
		select {
		case <-ctx.Done():
		case <-time.After(deathIsKnown):
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// report writes err as one line to the container's stderr and returns the exit
// code for it.
func (s *Supervisor) report(err error) int {
	var start *startError
	code := FailureCode
	if errors.As(err, &start) {
		code = start.Code
	}
	if s.log != nil {
		s.log.Error("the VM ended", "error", err)
	}
	line := strings.ReplaceAll(err.Error(), "\n", " ")
	if s.leaveError(line) {
		return code
	}
	fmt.Fprintf(s.stdio.Err, "runcvm: %s\n", line)
	return code
}

// leaveError leaves the reason why the entrypoint did not start to `start`, if
// that waits for it.
func (s *Supervisor) leaveError(line string) bool {
	if s.entrypoint.running() {
		return false
	}
	if _, err := os.Stat(filepath.Join(s.dir, control.AwaitFile)); err != nil {
		return false
	}
	return os.WriteFile(filepath.Join(s.dir, control.ErrorFile), []byte(line), 0o600) == nil
}

// entrypointRequest asks the guest for the entrypoint.
func (s *Supervisor) entrypointRequest(spec specs.Process) api.Process {
	request := api.Process{Init: true, Spec: spec, Console: s.plan.Display.Console}
	if request.Console == "" {
		if !spec.Terminal && HasNoInput(s.stdio.In) {
			request.Stdio = outputAlone
		}
		request.PlainNewlines = spec.Terminal && plainNewlines(s.stdio.In)
	}
	return request
}

// hasTerminal says whether the container's terminal is the entrypoint's: QEMU
// may have it.
func (s *Supervisor) hasTerminal() bool {
	return s.plan.Guest.Process.Terminal && s.plan.Display.Mode != plan.DisplayCurses
}

// entrypointSpec is the entrypoint with its terminal's present size.
func (s *Supervisor) entrypointSpec() specs.Process {
	spec := s.plan.Guest.Process
	if s.hasTerminal() {
		if w := windowSize(s.stdio.In); w != nil {
			spec.ConsoleSize = &specs.Box{Height: uint(w.Rows), Width: uint(w.Cols)}
		}
	}
	return spec
}
