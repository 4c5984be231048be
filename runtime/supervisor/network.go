package supervisor

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/guest/api"
	vmnet "github.com/runcvm/runcvm/runtime/net"
)

// network is the container's network as the VM gets it.
type network struct {
	interfaces []api.Interface
	routes     []api.Route
	files      []*os.File // behind the disks; QEMU gets them
	qemuArgs   []string
	dnsRelay   bool
}

// attachNetwork joins each of the container's interfaces with a tap. The
// supervisor is the first to see them: engines add them after `create`.
func (s *Supervisor) attachNetwork(context.Context) error {
	if s.plan.Network.Mode == "none" {
		return nil
	}
	state, err := vmnet.Read()
	if err != nil {
		return err
	}
	for _, sentence := range state.Unsupported {
		s.log.Warn("network", "unsupported", sentence)
	}
	n := &s.network
	n.interfaces, n.routes = state.Interfaces, state.Routes
	for i, iface := range state.Interfaces {
		if err := s.attach(i, iface); err != nil {
			return fmt.Errorf("give the VM interface %s: %w", iface.Name, err)
		}
	}
	n.dnsRelay = len(n.interfaces) > 0 && s.usesDockerResolver()
	return nil
}

// attach joins interface number i with a tap, and has the host's kernel move its
// frames where the plan says so.
func (s *Supervisor) attach(i int, iface api.Interface) error {
	n, p := &s.network, &s.plan.Network
	tap, err := vmnet.Attach(iface.Name, i, p.Queues, p.ReservedPorts)
	if err != nil {
		return err
	}
	nic := qemu.NIC{
		Bus: qemu.Bus(s.plan.Machine.Bus), Index: i, MAC: iface.MAC, MTU: iface.MTU,
		Queues: p.Queues, VHost: p.VHost, FirstFD: plan.FDFirstDisk + len(s.plan.Disks) + len(n.files),
	}
	n.files = append(n.files, tap.Queues...)
	if p.VHost {
		vhost, err := vmnet.OpenVHost(p.Queues)
		if err != nil {
			return err
		}
		n.files = append(n.files, vhost...)
	}
	n.qemuArgs = append(n.qemuArgs, nic.Args()...)
	return nil
}

// resolvConf is the resolver's configuration, in the image.
const resolvConf = "/etc/resolv.conf"

// usesDockerResolver says whether the VM's processes will ask Docker's
// resolver, which only answers in the container's network namespace.
func (s *Supervisor) usesDockerResolver() bool {
	data, err := s.readResolvConf()
	if err != nil {
		s.log.Info("no resolver configuration", "error", err)
		return false
	}
	return vmnet.UsesDockerResolver(data)
}

// readResolvConf reads the file that the VM's processes will see: an engine's
// mount, else the image's, whose links must not lead out of it.
func (s *Supervisor) readResolvConf() ([]byte, error) {
	const limit = 64 << 10
	dir, name := plan.RootMount, resolvConf[1:]
	for _, m := range s.plan.Guest.Mounts {
		if m.Destination == resolvConf && m.Type == api.TypeVolume {
			dir, name = plan.VolumesMount, m.Source
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path.Join(dir, name))
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// relayDNS answers the DNS messages of a stream that the guest opened.
func (s *Supervisor) relayDNS(stream io.ReadWriteCloser, transport string) {
	if err := s.dns.Serve(context.Background(), stream, transport); err != nil {
		s.log.Info("DNS relay", "transport", transport, "error", err)
	}
}
