package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/guest/api"
	vmnet "github.com/runcvm/runcvm/runtime/net"
)

// network is the container's network as the VM gets it.
type network struct {
	interfaces []api.Interface
	routes     []api.Route
	noIPv6     bool
	files      []*os.File // behind the disks; QEMU gets them
	qemuArgs   []string
	dnsRelay   bool
}

// attachNetwork joins each of the container's interfaces with a tap. The
// supervisor is the first to see them: engines add them after `create`.
func (s *Supervisor) attachNetwork(context.Context) error {
	s.network.noIPv6 = vmnet.IPv6Disabled()
	if s.plan.Network.Mode == plan.ModeNone {
		return nil
	}
	state, err := vmnet.Read()
	if err != nil {
		return err
	}
	if err := checkNames(s.plan.Network.NICs, state.Interfaces); err != nil {
		return err
	}
	for _, sentence := range state.Unsupported {
		s.log.Warn("network", "unsupported", sentence)
	}
	n := &s.network
	s.hotplug.known, s.hotplug.plugged = state, map[string]*plugged{}
	n.interfaces, n.routes = slices.Clone(state.Interfaces), state.Routes
	for i := range n.interfaces {
		iface := &n.interfaces[i]
		if err := s.attach(i, iface); err != nil {
			return fmt.Errorf("give the VM interface %s: %w", iface.Name, err)
		}
	}
	s.noteStack()
	n.dnsRelay = len(n.interfaces) > 0 && s.usesDockerResolver()
	return nil
}

// checkNames wants an interface for each name in the profile: which there are,
// nobody knows before.
func checkNames(nics []plan.NamedNIC, interfaces []api.Interface) error {
	var names []string
	for _, i := range interfaces {
		names = append(names, i.Name)
	}
	for _, nic := range nics {
		if !slices.Contains(names, nic.Name) {
			has := "none"
			if len(names) > 0 {
				has = strings.Join(names, ", ")
			}
			return fmt.Errorf("the profile has the block nic %q, and the container has no interface of that name (it has %s); change its label, or connect the network before the start", nic.Name, has)
		}
	}
	return nil
}

// setMTU gives the interface, as the guest gets it, the MTU of the plan.
func setMTU(iface *api.Interface, nic plan.NIC) error {
	const attribute = "network.mtu or nic.mtu in the profile"
	most := qemu.MaxMTU(nic.Model)
	switch {
	case nic.MTU > iface.MTU:
		return fmt.Errorf("the MTU %d of the profile (%s) is more than the %d of the container's interface; make the network with a larger one, as by docker network create --opt com.docker.network.driver.mtu=%d", nic.MTU, attribute, iface.MTU, nic.MTU)
	case nic.MTU != 0:
		iface.MTU = nic.MTU
	case iface.MTU > most:
		return fmt.Errorf("the container's interface has the MTU %d, and the network device %q at most %d; set %s to that, or choose another model", iface.MTU, nic.Model, most, attribute)
	}
	if iface.MTU < minMTU6 && slices.ContainsFunc(iface.Addresses, func(a string) bool { return strings.Contains(a, ":") }) {
		return fmt.Errorf("the MTU %d is too small for an interface with an IPv6 address, which needs %d; set %s to that or more", iface.MTU, minMTU6, attribute)
	}
	return nil
}

// minMTU6 is the least MTU of IPv6 in bytes (RFC 8200).
const minMTU6 = 1280

// attach gives the machine a device for interface number i, and has the host's
// kernel move its frames where the plan says so.
func (s *Supervisor) attach(i int, iface *api.Interface) error {
	n, h := &s.network, &s.hotplug
	a, err := s.join(i, iface)
	if err != nil {
		return err
	}
	a.nic.FirstFD = s.plan.FDFirstTap() + len(n.files)
	n.files = slices.Concat(n.files, a.tap.Queues, a.vhosts)
	n.qemuArgs = append(n.qemuArgs, a.nic.Args()...)
	h.plugged[iface.Name] = &plugged{tap: a.tap, slot: atStart}
	h.next = i + 1
	return nil
}

// join joins the interface with tap number i, and opens what moves its frames.
func (s *Supervisor) join(i int, iface *api.Interface) (*attached, error) {
	p := s.plan.Network.For(iface.Name)
	if err := setMTU(iface, p); err != nil {
		return nil, err
	}
	tap, err := vmnet.Attach(iface.Name, vmnet.Join{
		Index: i, Queues: p.Queues, Mode: s.plan.Network.Mode, Kept: vmnet.Kept(&s.plan.Network),
	})
	if err != nil {
		return nil, err
	}
	for _, sentence := range tap.Lacks {
		s.log.Warn("network", "lacks", sentence)
	}
	if p.Model != guestDefaultModel {
		iface.Driver = p.Model
	}
	a := &attached{tap: tap, nic: qemu.NIC{
		On: qemu.Bus(s.plan.Machine.Bus), Index: i, Model: p.Model, MAC: iface.MAC, MTU: iface.MTU, Queues: p.Queues, VHost: p.VHost,
	}}
	if p.VHost {
		if a.vhosts, err = vmnet.OpenVHost(p.Queues); err != nil {
			return nil, errors.Join(err, tap.Close())
		}
	}
	return a, nil
}

// guestDefaultModel is the model that the guest always drives.
const guestDefaultModel = "virtio"

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
func (s *Supervisor) relayDNS(stream io.ReadWriteCloser, open api.Open) {
	if err := s.dns.Serve(context.Background(), stream, open.Network); err != nil {
		s.log.Info("DNS relay", "transport", open.Network, "error", err)
	}
}
