package engine

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/schema"
)

// noVGA is display.vga's word for no graphics adapter.
const noVGA = "none"

// compileDisplay decides what shows the machine to people.
func (c *compiler) compileDisplay() {
	d := plan.Display{Mode: schema.DisplayMode.Of(c.profile), VGA: schema.DisplayVGA.Of(c.profile)}
	d.VNC = c.vncServer(d.Mode)
	if d.VGA == automatic {
		switch {
		case d.VNC != nil:
			d.VGA = "virtio"
		case d.Mode == plan.DisplayCurses:
			d.VGA = "std"
		default:
			d.VGA = noVGA
		}
	}
	c.plan.Display = d
	c.checkScreen()
	c.compileConsole()
}

// vncServer is the VNC server that the profile asks for, nil for none.
func (c *compiler) vncServer(mode string) *plan.VNC {
	number, password := schema.DisplayVNC.Of(c.profile), schema.DisplayPasswordFile.Of(c.profile)
	if number < 0 && mode == plan.DisplayVNC {
		number = 0
	}
	if number < 0 {
		if password != "" {
			c.diags.Errorf("Password without a VNC server",
				"display.password_file is the password of a VNC server, and there is none: display.mode is %q and display.vnc gives no number. Use display.mode = \"vnc\".%s", mode, c.blame(schema.DisplayPasswordFile.Attribute))
		}
		return nil
	}
	if password != "" && !path.IsAbs(password) {
		c.diags.Errorf("Path not absolute",
			"display.password_file is %q, and has to be the absolute path of a file on the host.%s", password, c.blame(schema.DisplayPasswordFile.Attribute))
	}
	port := plan.VNCPort + number
	if port >= int(reservedPorts[0]) && port <= int(reservedPorts[1]) {
		c.diags.Errorf("VNC display number taken",
			"The VNC display %d is the TCP port %d, and the ports from %d to %d are the container's local ports. Choose another number, such as 0.%s", number, port, reservedPorts[0], reservedPorts[1], c.blame(schema.DisplayVNC.Attribute))
	}
	return &plan.VNC{Number: number, Port: uint16(port), PasswordFile: password}
}

// checkScreen reports displays that would stay dark.
func (c *compiler) checkScreen() {
	d := c.plan.Display
	if d.VGA == noVGA {
		switch {
		case d.VNC != nil:
			c.diags.Errorf("Nothing to show",
				"The VNC display %d would show nothing: display.vga is \"none\". Use \"auto\", \"virtio\", \"std\" or \"cirrus\".%s", d.VNC.Number, c.blame(schema.DisplayVGA.Attribute))
		case d.Mode == plan.DisplayCurses:
			c.diags.Errorf("Nothing to show",
				"display.mode is \"curses\", which shows the text of a graphics adapter, and display.vga is \"none\". Use \"auto\", \"std\" or \"cirrus\".%s", c.blame(schema.DisplayVGA.Attribute))
		}
		return
	}
	if c.plan.Machine.Type == plan.MachineMicroVM {
		c.diags.Errorf("Machine without a screen",
			"machine.type is \"microvm\", which has no bus for a graphics adapter, and display.vga is %q. Use machine.type = \"q35\", or display.mode \"headless\" or \"serial\".%s", d.VGA, c.blame(schema.MachineType.Attribute))
	}
	if firmware := schema.FirmwareType.Of(c.profile); firmware == "qboot" {
		c.diags.Errorf("Firmware without a screen",
			"firmware.type is \"qboot\", which does not set up a graphics adapter, and display.vga is %q. Use \"seabios\".%s", d.VGA, c.blame(schema.FirmwareType.Attribute))
	}
}

// Devices of the guest that can be the entrypoint's terminal.
const (
	screenConsole = "/dev/tty1"
	kernelConsole = "/dev/console" // which is the serial port
)

// compileConsole decides where the entrypoint's terminal is. An init has its
// gettys where it wants them.
func (c *compiler) compileConsole() {
	d := &c.plan.Display
	terminal := c.spec.Process != nil && c.spec.Process.Terminal
	if c.plan.Init.Mode == plan.InitExec && (d.Mode == plan.DisplaySerial || d.Mode == plan.DisplayCurses) {
		defer func() { d.Console = kernelConsole }()
	}
	switch d.Mode {
	case plan.DisplaySerial:
		d.Console = "/dev/" + c.serialPort()
	case plan.DisplayCurses:
		d.Console = screenConsole
		if !terminal {
			c.diags.Errorf("No terminal",
				"display.mode is \"curses\", which draws the machine's screen on the container's terminal, and the container has none. Run it with docker run -it.%s", c.blame(schema.DisplayMode.Attribute))
		}
	}
}

// serialLine is the kernel's name for the serial port, with a speed where people
// wait for it: the emulated one takes its time, too.
func (c *compiler) serialLine() string {
	if c.plan.Display.Mode == plan.DisplaySerial {
		return c.serialPort() + ",115200"
	}
	return c.serialPort()
}

// serialPort is the kernel's name for the port with its console.
func (c *compiler) serialPort() string { return "ttyS" + strconv.Itoa(c.consolePort()) }

// consoleEnvironment is the environment of an entrypoint at the screen. An engine
// has TERM for its own terminal.
func (c *compiler) consoleEnvironment(env []string) []string {
	if c.plan.Display.Console != screenConsole {
		return env
	}
	env = slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, "TERM=") })
	return append(env, "TERM=linux")
}

// displayArguments are the words of the kernel's command line for a screen.
func (c *compiler) displayArguments() []string {
	d := c.plan.Display
	var args []string
	if d.VGA != noVGA {
		// The last console is /dev/console: what the kernel says is on both.
		args = append(args, "console=tty0")
	}
	if d.Mode == plan.DisplayCurses {
		// Text can be drawn with characters, a driver's pixels cannot.
		args = append(args, "nomodeset")
	}
	return args
}

// frontend is QEMU's -display.
func (c *compiler) frontend() string {
	if c.plan.Display.Mode == plan.DisplayCurses {
		return "curses"
	}
	return "none"
}

// displayDevices adds the display's and USB's devices to QEMU's arguments.
func (c *compiler) displayDevices(q *qemu.CommandLine) {
	d := c.plan.Display
	if d.VNC != nil {
		q.VNC(d.VNC.Number, d.VNC.PasswordFile != "", path.Join(plan.StateMount, plan.VNCPassword))
	}
	if d.VGA != noVGA {
		q.Device(qemu.VGA{ID: "vga", Model: d.VGA})
		q.Device(qemu.VirtioTabletPCI{ID: "tablet"})
		q.SilentSound("sound")
	}
	if c.plan.Machine.USB {
		q.Device(qemu.XHCI{ID: "usb"})
		q.Device(qemu.USBTablet{ID: "usbtablet", Bus: "usb.0"})
	}
}
