package initd

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/agent/rootfs"
	"github.com/runcvm/runcvm/guest/api"
)

const (
	// stopWait is how long killed processes may take to be gone.
	stopWait = 5 * time.Second
	// syncWait is how long writing out may take before the VM ends anyway.
	syncWait = 10 * time.Second
)

// boot serves the boot stream.
type boot struct {
	agent        *agent.Agent
	times        *timeline
	shareMounted chan error // one value: how mounting the share went
	once         sync.Once
	network      sync.Mutex // held while the network is changed; guards relaysDNS
	relaysDNS    bool
}

// serve sets the guest up, then obeys controls until the stream ends.
func (b *boot) serve(session *yamux.Session, stream *yamux.Stream) {
	defer stream.Close()
	var request api.Boot
	if err := api.Read(stream, &request); err != nil {
		return
	}
	err := errors.New("the guest has been set up before")
	b.once.Do(func() { err = b.setUp(session, &request) })
	event := api.Event{Type: api.EventReady}
	if err != nil {
		event = api.Event{Type: api.EventFailed, Message: oneLine(err)}
	} else {
		b.times.mark(api.MilestoneReady)
	}
	if b.send(stream, event) != nil {
		return
	}
	for {
		var c api.Control
		if err := api.Read(stream, &c); err != nil {
			return
		}
		if c.Shutdown {
			b.shutdown(stream)
		}
	}
}

func (b *boot) send(stream *yamux.Stream, e api.Event) error {
	e.Timeline = b.times.list()
	e.UptimeNanos = agent.Uptime()
	return api.Write(stream, e)
}

// oneLine is an error's text without line breaks.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// setUp does what the supervisor asks for; the root and the network, which need
// nothing of each other, at the same time.
func (b *boot) setUp(session *yamux.Session, request *api.Boot) error {
	if slices.ContainsFunc(request.Mounts, func(m api.Mount) bool { return m.Type == api.TypeProgram }) {
		if err := b.agent.ServeExit(); err != nil {
			return err
		}
	}
	// Before the root, where they are mounted.
	if err := listenSockets(session, rootfs.SocketsDir, request.Sockets); err != nil {
		return err
	}
	rootBuilt := make(chan error, 1)
	guarded(func() { rootBuilt <- b.buildRoot(request) })
	err := setUpHost(request)
	if err == nil {
		err = setUpNetwork(request)
	}
	if err == nil && request.DNSRelay {
		err = startDNS(session)
		b.relaysDNS = err == nil
	}
	if err == nil {
		b.times.mark(api.MilestoneNetwork)
	}
	return errors.Join(<-rootBuilt, err)
}

func (b *boot) buildRoot(request *api.Boot) error {
	if err := <-b.shareMounted; err != nil {
		return err
	}
	if request.VolumesShare {
		if err := b.agent.MountVolumes(api.VolumesTag); err != nil {
			return err
		}
	}
	// Before the first mount, which may need a module.
	folder, err := b.agent.KeepModules(request.Modules)
	if err == nil {
		err = offerModules(folder)
	}
	if err != nil {
		return err
	}
	b.agent.FilterSyscalls(request.Seccomp)
	err = b.agent.BuildRoot(rootfs.Config{
		ReadOnly: request.ReadOnly, Mounts: request.Mounts, Devices: request.Devices, DiskNodes: request.DiskNodes,
		MaskedPaths: request.MaskedPaths, ReadonlyPaths: request.ReadonlyPaths,
		Cgroupfs: request.Cgroupfs,
	})
	if err == nil && request.PidsLimit > 0 {
		err = b.agent.LimitPids(request.PidsLimit)
	}
	if err == nil && len(request.PassedSlots) > 0 {
		err = newPassed(b.agent, request.PassedSlots).start()
	}
	if err == nil && request.KnownFiles > 0 {
		guarded(func() { forgetFiles(request.KnownFiles) })
	}
	if err == nil {
		b.times.mark(api.MilestoneRoot)
	}
	return err
}

// setUpHost sets names and kernel parameters.
func setUpHost(request *api.Boot) error {
	if request.Hostname != "" {
		if err := unix.Sethostname([]byte(request.Hostname)); err != nil {
			return &os.SyscallError{Syscall: "sethostname", Err: err}
		}
	}
	if request.Domainname != "" {
		if err := unix.Setdomainname([]byte(request.Domainname)); err != nil {
			return &os.SyscallError{Syscall: "setdomainname", Err: err}
		}
	}
	return nil
}

// shutdown ends the container, then the VM. It does not return.
func (b *boot) shutdown(stream *yamux.Stream) {
	// What does not end in time is ended by the power-off.
	_ = b.agent.Shutdown(stopWait)
	syncBounded(syncWait)
	_ = b.send(stream, api.Event{Type: api.EventSynced})
	powerOff()
}

// syncBounded writes out every file system, but does not wait for a device that
// no longer answers.
func syncBounded(timeout time.Duration) {
	done := make(chan struct{})
	go func() {
		unix.Sync()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(timeout):
	}
}

// sysctlPath is the file of a kernel parameter. As in sysctl(8), the first
// separator of the name says which of "." and "/" separates.
func sysctlPath(name string) (string, error) {
	i := strings.IndexAny(name, "./")
	if i >= 0 && name[i] == '.' {
		swap := strings.NewReplacer(".", "/", "/", ".")
		name = swap.Replace(name)
	}
	if !filepath.IsLocal(name) {
		return "", errors.New("not the name of a kernel parameter")
	}
	return filepath.Join("/proc/sys", name), nil
}
