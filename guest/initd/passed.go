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

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/api"
)

// sysDir is where sysfs is, and rootBus, in it, the root bus of a PC.
const (
	sysDir  = "/sys"
	rootBus = "/devices/pci0000:00"
)

// passed are the devices that the host has passed to the machine, with all that
// their drivers make of them: interfaces of a card, disks and their partitions.
type passed struct {
	agent *agent.Agent
	ports []string // where the devices are in sysfs: "/devices/pci0000:00/0000:00:10.0/"
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
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("listen for the kernel's events of devices: %w", err)
	}
	const kernelsOwn = 1 // the group; udev's own messages go to another
	// Before the first look, so that nothing comes between.
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelsOwn}); err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("listen for the kernel's events of devices: %w", err)
	}
	p.lookAround()
	guarded(func() {
		defer unix.Close(fd)
		p.follow(fd)
	})
	return nil
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
		n, err := unix.Read(fd, buffer)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS): // some were lost
			p.lookAround()
		case err != nil:
			kernelLog("the kernel's events of devices: %v", err)
			return
		default:
			p.hear(parseEvent(buffer[:n]))
		}
	}
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
		if name := event["DEVNAME"]; name != "" {
			if err := p.agent.RemoveDevice("/dev/" + name); err != nil {
				kernelLog("the node /dev/%s: %v", name, err)
			}
		}
	}
}

// has says whether a path of sysfs is that of a passed device, or of what comes of
// one.
func (p *passed) has(path string) bool {
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
	if properties["DEVNAME"] == "" {
		return
	}
	d, err := nodeOf(path, properties)
	if err == nil {
		err = p.agent.MakeDevice(d)
	}
	if err != nil {
		kernelLog("the node of %s: %v", path, err)
	}
}

// nodeOf is the node of a device in sysfs, as devtmpfs has it.
func nodeOf(path string, properties map[string]string) (api.Device, error) {
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
	if subsystem, err := os.Readlink(filepath.Join(sysDir, path, "subsystem")); err == nil && filepath.Base(subsystem) == "block" {
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
