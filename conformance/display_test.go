package conformance

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/rfb"
)

// dialVNC connects to a VNC server behind an address of the engine's host.
func dialVNC(e *harness.Engine, address, password string) (client *rfb.Client, err error) {
	var conn net.Conn
	err = e.OnHost(func() (err error) {
		conn, err = net.DialTimeout("tcp", address, 5*time.Second)
		return err
	})
	if err != nil {
		return nil, err
	}
	return rfb.Connect(conn, password)
}

// published is the host's address of a container's port.
func (c *container) published(port string) string {
	c.t.Helper()
	return strings.Fields(must(c.t, docker(c.t, "port", c.name, port)))[0]
}

// vnc connects to the container's VNC server, by its published port.
func (c *container) vnc(e *harness.Engine, port, password string) *rfb.Client {
	c.t.Helper()
	var client *rfb.Client
	address := c.published(port)
	eventually(c.t, "the VNC server answers at "+address, func() (ok bool) {
		var err error
		client, err = dialVNC(e, address, password)
		return err == nil
	})
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// screen returns the client's picture of the screen.
func screen(t *testing.T, client *rfb.Client) rfb.Frame {
	t.Helper()
	f, err := client.Screen()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// typeAt types a text without spaces, a key after the screen shows the one before:
// a keyboard forgets keys when nobody takes them.
func typeAt(t *testing.T, client *rfb.Client, text string) {
	t.Helper()
	for _, key := range text {
		before := screen(t, client)
		if err := client.Type(string(key)); err != nil {
			t.Fatal(err)
		}
		eventually(t, fmt.Sprintf("the screen shows the key %q", key), func() bool { return screen(t, client) != before })
	}
}

// passwordFile writes a password that only its owner may read.
func passwordFile(t *testing.T, password string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(name, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// shellOnScreen is a container's command: a shell at the machine's screen, which
// has no cursor, so that nothing changes by itself.
var shellOnScreen = []string{"sh", "-c", `setsid sh -c 'exec </dev/tty1 >/dev/tty1 2>&1; printf "\033[?25l"; touch /opened; exec sh -i' & exec sleep infinity`}

// opened waits until shellOnScreen has its keyboard: what is typed before is lost.
func (c *container) opened() {
	c.t.Helper()
	eventually(c.t, "a shell at the screen", func() bool { return c.exec("test", "-e", "/opened").Code == 0 })
}

// TestVNC looks at the machine's screen through a published port, with each
// adapter, and types at a shell there.
func TestVNC(t *testing.T) {
	for name, k := range map[string]struct {
		env     []string
		port    string
		adapter string // vendor and device, of PCI
	}{
		"default":             {[]string{"RUNCVM_DISPLAY_MODE=vnc"}, "5900", "0x1af4 0x1050"},
		"std":                 {[]string{"RUNCVM_DISPLAY_MODE=vnc", "RUNCVM_QEMU_VGA=std"}, "5900", "0x1234 0x1111"},
		"headless, display 7": {[]string{"RUNCVM_QEMU_VNC_DISPLAY=7", "RUNCVM_QEMU_VGA=cirrus"}, "5907", "0x1013 0x00b8"},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			vmOnly(t)
			options := []string{"--publish", "127.0.0.1::" + k.port}
			for _, v := range k.env {
				options = append(options, "--env", v)
			}
			c := background(t, append(append(options, image), shellOnScreen...)...)
			c.opened()
			client := c.vnc(e, k.port, "")
			typeAt(t, client, "tty>/typed\n")
			eventually(t, "the shell at the screen has run the command", func() bool { return c.exec("cat", "/typed").Stdout == "/dev/tty1\n" })
			pci := must(t, c.exec("sh", "-c", `for d in /sys/bus/pci/devices/*; do echo $(cat $d/vendor $d/device $d/class); done`))
			for _, want := range []string{k.adapter + " 0x030000", "0x1af4 0x1052 ", " 0x040300"} {
				if !strings.Contains(pci, want) {
					t.Errorf("the machine has no %s:\n%s", want, pci)
				}
			}
			inputs := must(t, c.exec("cat", "/proc/bus/input/devices"))
			for _, want := range []string{"AT Translated Set 2 keyboard", "QEMU Virtio Tablet"} {
				if !strings.Contains(inputs, want) {
					t.Errorf("the machine has no %q:\n%s", want, inputs)
				}
			}
			must(t, c.exec("sh", "-c", "ls /dev/input/event*"))
		})
	}
}

// TestVNCPassword has a server that asks for a password, which is in no
// argument list and in nothing that is shown.
func TestVNCPassword(t *testing.T) {
	e := start(t)
	vmOnly(t)
	const password = "hus8hhus"
	c := background(t, append([]string{
		"--publish", "127.0.0.1::5901", "--env", "RUNCVM_DISPLAY_MODE=vnc", "--env", "RUNCVM_QEMU_VNC_DISPLAY=1",
		"--env", "RUNCVM_DISPLAY_PASSWORD_FILE=" + passwordFile(t, password), image,
	}, shellOnScreen...)...)
	c.opened()
	client := c.vnc(e, "5901", password)
	typeAt(t, client, "tty\n")
	address := c.published("5901")
	for _, wrong := range []string{"hus8hhuz", "x"} {
		if _, err := dialVNC(e, address, wrong); !errors.Is(err, rfb.ErrRefused) {
			t.Errorf("with the password %q: %v", wrong, err)
		}
	}
	if _, err := dialVNC(e, address, ""); err == nil || errors.Is(err, rfb.ErrRefused) {
		t.Errorf("without a password: %v", err)
	}
	if plan := must(t, docker(t, "top", c.name, "-eo", "pid,args")); strings.Contains(plan, password) {
		t.Errorf("the password is in a command line:\n%s", plan)
	}
}

// TestDesktop boots the profile "desktop-vnc" on a kernel with drivers for
// graphics, and with USB.
func TestDesktop(t *testing.T) {
	vmOnly(t)
	e := alone(t)
	c := background(t, append([]string{
		"--label", "runcvm.profile=desktop-vnc", "--env", "RUNCVM_KERNEL=" + genericKernel(t), "--env", "RUNCVM_QEMU_USB=on",
		"--memory", "1g", "--publish", "127.0.0.1::5900", image,
	}, shellOnScreen...)...)
	c.opened()
	client := c.vnc(e, "5900", "")
	typeAt(t, client, "tty>/typed\n")
	eventually(t, "the shell at the screen has run the command", func() bool { return c.exec("cat", "/typed").Stdout == "/dev/tty1\n" })
	if f := screen(t, client); f.Width != 1280 || f.Height != 800 {
		t.Errorf("the screen has %d by %d pixels, want those of the graphics driver", f.Width, f.Height)
	}
	for _, device := range []string{"/dev/fb0", "/dev/dri/card0", "/dev/tty1", "/dev/input/event0"} {
		must(t, c.exec("test", "-c", device))
	}
	must(t, c.exec("sh", "-c", "head -c 2000000 /dev/urandom > /dev/fb0"))
	eventually(t, "the screen shows what is drawn", func() bool { return screen(t, client).Colours() > 100_000 })
	equal(t, "USB devices", must(t, c.exec("sh", "-c", "cat /sys/bus/usb/devices/*/product | grep QEMU")), "QEMU USB Tablet\n")
	if inputs := must(t, c.exec("cat", "/proc/bus/input/devices")); !strings.Contains(inputs, "QEMU USB Tablet") || !strings.Contains(inputs, "QEMU Virtio Tablet") {
		t.Errorf("the machine lacks a tablet:\n%s", inputs)
	}
}

// TestSerial has the container's streams be the machine's serial port.
func TestSerial(t *testing.T) {
	serial := []string{"--env", "RUNCVM_DISPLAY_MODE=serial"}
	t.Run("the kernel's words", func(t *testing.T) {
		start(t)
		vmOnly(t)
		// EFI keeps the first two ports to itself.
		r := run(t, append(serial, "--env", "RUNCVM_BIOS=EFI", "--env", "RUNCVM_KERNEL_DEBUG=1", image, "sh", "-c", "tty; seq 1 3000; echo last >&2; exit 7")...)
		kernel, program, _ := strings.Cut(r.Stdout, "/dev/ttyS2\r\n")
		if r.Code != 7 || !strings.Contains(kernel, "Linux version ") {
			t.Errorf("exit code %d, and before the program:\n%s", r.Code, kernel)
		}
		next := 1
		for line := range strings.SplitSeq(program, "\r\n") {
			if line == strconv.Itoa(next) { // the kernel's words may be in between
				next++
			}
		}
		if next != 3001 || !strings.Contains(program, "last\r\n") {
			t.Errorf("the line %d is missing, or the last one: %q", next, program[max(0, len(program)-200):])
		}
	})
	t.Run("terminal", func(t *testing.T) {
		start(t)
		vmOnly(t)
		term := onTerminal(t, append(append([]string{"run", "--rm", "-it", "--name", newName(t), "--runtime", underTest()}, serial...), image, "bash", "--norc")...)
		term.expect(`# $`)
		term.send("tty < /dev/console; stty size; echo $((6*7))-answer\r")
		term.expect(`/dev/console\r\n33 111\r\n42-answer\r\n`)
		term.resize(44, 122)
		term.send("sh -c '" + sizeScript("44 122") + "'\r")
		term.expect("size-is-44x122\r\n")
		term.send("sh -c 'trap \"exit 5\" INT; echo ready-$((1+1)); while :; do sleep 0.1; done'; exit $?\r")
		term.expect("ready-2")
		term.send("\x03")
		equal(t, "exit code", term.code(), 5)
	})
	t.Run("systemd", func(t *testing.T) {
		start(t)
		vmOnly(t)
		c := background(t, append(serial, "--tty", systemdImage(t))...)
		equal(t, "state", c.booted(), "running")
		eventually(t, "a getty's greeting", func() bool { return strings.Contains(c.logs().Stdout, " ttyS0") })
		must(t, docker(t, "stop", "--time", stopLimit, c.name))
		equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "0")
	})
}

// drawing matches how programs move on a terminal and colour it.
var drawing = regexp.MustCompile(`\x1b(\[[0-9;?]*[a-zA-Z]|\(B|[=>])|\r`)

// TestCurses draws the machine's screen on a terminal.
func TestCurses(t *testing.T) {
	start(t)
	vmOnly(t)
	term := onTerminal(t, "run", "--rm", "-it", "--name", newName(t), "--runtime", underTest(), "--env", "RUNCVM_QEMU_DISPLAY=curses", image,
		"sh", "-c", "tty; echo term-is-$TERM; exec sh")
	drawn := func(text string) {
		t.Helper()
		within(t, bootLimit, "the terminal shows "+text, func() bool { return strings.Contains(drawing.ReplaceAllString(term.shown(), ""), text) })
	}
	drawn("SeaBIOS")
	drawn("/dev/tty1")
	drawn("term-is-linux")
	for _, key := range "echo $((6*7))-answer; exit 5" {
		before := len(term.shown())
		term.send(string(key))
		eventually(t, fmt.Sprintf("the terminal shows the key %q", key), func() bool { return len(term.shown()) > before })
	}
	term.send("\r")
	drawn("42-answer")
	equal(t, "exit code", term.code(), 5)
}
