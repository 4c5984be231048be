package conformance

import (
	"errors"
	"net"
	"os"
	"path/filepath"
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

// typeAt types a text and waits until the screen shows more than it did.
func typeAt(t *testing.T, client *rfb.Client, text string) {
	t.Helper()
	// A letter has more pixels than this, a cursor that blinks no more than two.
	before := screen(t, client).Lit()
	if err := client.Type(text); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the screen shows "+text, func() bool { return screen(t, client).Lit() > before+10*len(text) })
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

// shellOnScreen is a container's command: a shell at the machine's screen.
var shellOnScreen = []string{"sh", "-c", "setsid sh -c 'exec </dev/tty1 >/dev/tty1 2>&1; touch /opened; exec sh -i' & exec sleep infinity"}

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
			typeAt(t, client, "tty > /typed\n")
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
	c := background(t, append([]string{"--publish", "127.0.0.1::5901", "--env", "RUNCVM_DISPLAY_MODE=vnc", "--env", "RUNCVM_QEMU_VNC_DISPLAY=1",
		"--env", "RUNCVM_DISPLAY_PASSWORD_FILE=" + passwordFile(t, password), image}, shellOnScreen...)...)
	c.opened()
	client := c.vnc(e, "5901", password)
	typeAt(t, client, "echo typed\n")
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
