package initd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/api"
)

// sysDir is where sysfs is, and rootBus, in it, the root bus of a PC.
const (
	sysDir  = "/sys"
	rootBus = "/devices/pci0000:00"
)

// passedName begins the names of their interfaces.
const passedName = "passed"

// passed are the devices that the host has passed to the machine, with all that
// their drivers make of them: interfaces of a card, disks and their partitions.
type passed struct {
	agent *agent.Agent
	ports []string // where the devices are in sysfs: "/devices/pci0000:00/0000:00:10.0/"

	interfaces int // that have a name
}

func newPassed(a *agent.Agent, slots []int) *passed {
	p := &passed{agent: a}
	for _, slot := range slots {
		p.ports = append(p.ports, fmt.Sprintf("%s/0000:00:%02x.0/", rootBus, slot))
	}
	return p
}

// start loads the drivers that the kernel has for the devices, gives the
// container their nodes, and goes on to do so for what comes later: drivers look at
// their devices in their own time.
func (p *passed) start() error {
	if err := p.agent.KeepRoot(); err != nil {
		return err
	}
	fd, err := listenForEvents() // before the first look, so that nothing comes between
	if err != nil {
		return fmt.Errorf("listen for the kernel's events of devices: %w", err)
	}
	p.lookAround()
	guarded(func() {
		defer unix.Close(fd)
		p.follow(fd)
	})
	return nil
}

// listenForEvents opens a socket with what the kernel tells of devices.
func listenForEvents() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return -1, err
	}
	const kernelsOwn = 1 // the group; udev's own messages go to another
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelsOwn}); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// lookAround takes up all that is there, and what the drivers loaded for that have
// brought, until nothing is new.
func (p *passed) lookAround() {
	known := map[string]bool{}
	for isNew := true; isNew; {
		isNew = false
		for _, port := range p.ports {
			_ = filepath.WalkDir(sysDir+port, func(path string, entry fs.DirEntry, err error) error {
				if err != nil { // gone in between
					return nil //nolint:nilerr // the others are still to be seen
				}
				if entry.Name() != "uevent" || known[path] {
					return nil
				}
				known[path], isNew = true, true
				p.takeUp(strings.TrimPrefix(filepath.Dir(path), sysDir))
				return nil
			})
		}
	}
}

// follow takes up what the kernel tells of.
func (p *passed) follow(fd int) {
	buffer := make([]byte, 64<<10)
	for {
		event, err := nextEvent(fd, buffer)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS): // some were lost
			p.lookAround()
		case err != nil:
			kernelLog("the kernel's events of devices: %v", err)
			return
		default:
			p.hear(event)
		}
	}
}

// nextEvent waits for a message, and returns nothing for one that is not the
// kernel's: whoever may administer the network can send here.
func nextEvent(fd int, buffer []byte) (map[string]string, error) {
	n, from, err := unix.Recvfrom(fd, buffer, 0)
	if err != nil {
		return nil, err
	}
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
		return nil, nil
	}
	return parseEvent(buffer[:n]), nil
}

// hear takes one event.
func (p *passed) hear(event map[string]string) {
	path := event["DEVPATH"]
	if !p.has(path) {
		return
	}
	switch event["ACTION"] {
	case "add":
		p.takeUp(path)
	case "remove":
		if event["DEVNAME"] == "" {
			return
		}
		d, err := nodeOf(event, event["SUBSYSTEM"])
		if err == nil {
			err = p.agent.RemoveDevice(d)
		}
		if err != nil {
			kernelLog("the node of %s: %v", path, err)
		}
	}
}

// has says whether a path of sysfs is that of a passed device, or of what comes of
// one.
func (p *passed) has(path string) bool {
	if filepath.Clean(path) != path {
		return false
	}
	for _, port := range p.ports {
		if strings.HasPrefix(path, port) {
			return true
		}
	}
	return false
}

// takeUp loads the driver of what is at the path in sysfs, and makes its node. What
// goes wrong is in the kernel's log: the machine has more than this device.
func (p *passed) takeUp(path string) {
	body, err := os.ReadFile(filepath.Join(sysDir, path, "uevent"))
	if err != nil {
		return // gone
	}
	properties := parseProperties(bytes.Split(body, []byte("\n")))
	if alias := properties["MODALIAS"]; alias != "" && properties["DRIVER"] == "" {
		Modprobe([]string{alias})
	}
	if index := properties["IFINDEX"]; index != "" {
		if err := p.name(index, properties["INTERFACE"]); err != nil {
			kernelLog("%v", err)
		}
	}
	if properties["DEVNAME"] == "" {
		return
	}
	subsystem, _ := os.Readlink(filepath.Join(sysDir, path, "subsystem"))
	d, err := nodeOf(properties, filepath.Base(subsystem))
	if err == nil {
		err = p.agent.MakeDevice(d)
	}
	if err != nil {
		kernelLog("the node of %s: %v", path, err)
	}
}

// name gives a new interface a name that no network of the container's has.
func (p *passed) name(index, now string) error {
	number, err := strconv.Atoi(index)
	if err != nil || strings.HasPrefix(now, passedName) {
		return err
	}
	l, err := netlink.LinkByIndex(number)
	if err != nil {
		return fmt.Errorf("the interface %s: %w", now, err)
	}
	if err := rename(l, passedName+strconv.Itoa(p.interfaces)); err != nil {
		return err
	}
	p.interfaces++
	return nil
}

// nodeOf is the node of a device with these properties in sysfs, as devtmpfs has it.
func nodeOf(properties map[string]string, subsystem string) (api.Device, error) {
	d := api.Device{Path: "/dev/" + properties["DEVNAME"], Type: "c"}
	var err error
	if d.Major, err = strconv.ParseInt(properties["MAJOR"], 10, 64); err != nil {
		return d, err
	}
	if d.Minor, err = strconv.ParseInt(properties["MINOR"], 10, 64); err != nil {
		return d, err
	}
	mode := os.FileMode(0o600)
	if text := properties["DEVMODE"]; text != "" {
		octal, err := strconv.ParseUint(text, 0, 32)
		if err != nil {
			return d, err
		}
		mode = os.FileMode(octal)
	}
	d.FileMode = &mode
	if subsystem == "block" {
		d.Type = "b"
	}
	return d, nil
}

// parseEvent reads a message of the kernel's: "add@/devices/...", then properties,
// each ending in a zero byte.
func parseEvent(message []byte) map[string]string {
	return parseProperties(bytes.Split(message, []byte{0}))
}

// parseProperties reads NAME=VALUE; what has another form is left out.
func parseProperties(lines [][]byte) map[string]string {
	properties := map[string]string{}
	for _, line := range lines {
		if name, value, ok := strings.Cut(string(line), "="); ok {
			properties[name] = value
		}
	}
	return properties
}
