package suite

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// TestMicroVM boots the small machine, whose network joins the container's by a
// bridge. Its devices share the host kernel's interrupt controller, by which each
// has to get more than one interrupt through.
func TestMicroVM(t *testing.T) {
	onKVM(t)
	w := newWire(t)
	b := newBundle(t, "sh", "-c", `ls /sys/bus/pci/devices 2>/dev/null | wc -l
cat /sys/devices/system/clocksource/clocksource0/current_clocksource
probe echo `+peerAddress+`:7 65536; exit 7`)
	w.join(b)
	b.profile(`machine {
  type = "microvm"
}
firmware {
  type = "qboot"
}
network {
  mode = "bridge"
}`)
	w.serve(t, "serve", peerAddress+":7")
	got := b.run(strings.NewReader(""), "run", "--bundle", b.dir, b.id)
	equal(t, "result", got, harness.Result{Stdout: "0\nkvm-clock\n65536 bytes echoed\n", Code: 7})
}

// TestEFI boots by EFI firmware, with RAM in a memfd that is there before the
// guest asks for it.
func TestEFI(t *testing.T) {
	onKVM(t)
	notEmulated(t, "QEMU ends with an assertion (tcg_handle_interrupt) when the firmware writes the register CR8")
	b := newBundle(t, "sh", "-c", "cat /sys/firmware/efi/fw_platform_size; grep MemTotal /proc/meminfo")
	b.profile(`machine {
  memory   = "192M"
  prealloc = true
}
firmware {
  type = "efi"
}`)
	got := b.run(strings.NewReader(""), "run", "--bundle", b.dir, b.id)
	var bits, kib int
	if _, err := fmt.Sscanf(got.Stdout, "%d\nMemTotal: %d kB", &bits, &kib); err != nil || bits != 64 || kib > 192<<10 || kib < 128<<10 {
		t.Errorf("bits of EFI %d, memory %d KiB, %v: %+v", bits, kib, err, got)
	}
}

// notEmulated skips a test on a host whose processor QEMU emulates, as it does in
// the lab, for what the emulation cannot do.
func notEmulated(t *testing.T, why string) {
	t.Helper()
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(info), "QEMU TCG") {
		t.Skip("this host's processor is emulated: " + why)
	}
}
