package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/rfb"
)

// otherPrefix is where TestOtherSuite installs, and where the runtime
// "runcvm-suite" looks.
func otherPrefix() string { return filepath.Join(harness.Scratch(), "suite") }

// tools is what an installation says of its tool root.
func tools(t *testing.T, prefix string) (m struct {
	Suite         string
	VirtiofsdKind string `json:"virtiofsd_kind"`
},
) {
	t.Helper()
	if err := json.Unmarshal([]byte(content(t, filepath.Join(prefix, "root/etc/runcvm/tools.json"))), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestOtherSuite boots a container on the tools of the Debian release that is
// not the installed one: another QEMU, the other virtiofsd, another kernel.
// Without its packages in the cache of installations, they are fetched.
func TestOtherSuite(t *testing.T) {
	e := start(t)
	vmOnly(t)
	installed := tools(t, harness.Prefix())
	suite := "trixie"
	if installed.Suite == suite {
		suite = "bookworm"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	install := harness.Runtime{Path: harness.Binary(), Args: []string{"--prefix=" + otherPrefix()}}.Command(ctx, "install", "--suite", suite, "--no-docker")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", install, err, out)
	}
	if other := tools(t, otherPrefix()); other.Suite != suite || other.VirtiofsdKind == installed.VirtiofsdKind {
		t.Errorf("installed %+v beside %+v, want the other virtiofsd", other, installed)
	}

	dir := tree(t, map[string]string{"from-host": "1\n"})
	const password = "trixie"
	socket := socketAt(t, filepath.Join(t.TempDir(), "socket"))
	harness.Require(t, harness.Loop)
	device, _ := loopDevice(t, 1<<20)
	c := backgroundOn(t, "runcvm-suite", "--volume", dir+":/shared", "--volume", socket.listener.Addr().String()+":/run/socket",
		"--device", device+":/dev/data", "--publish", "127.0.0.1::5900", "--env", "RUNCVM_DISPLAY_MODE=vnc",
		"--env", "RUNCVM_DISPLAY_PASSWORD_FILE="+passwordFile(t, password), "--env", "RUNCVM_QEMU_USB=on",
		"--env", "RUNCVM_BIOS=EFI", "--env", "RUNCVM_KERNEL_MODULES=version", "--cap-add", "SYS_ADMIN",
		"--security-opt", "systempaths=unconfined", probeImage, "sh", "-c", `uname -r; exec sleep infinity`)
	latest, err := os.Readlink(filepath.Join(otherPrefix(), "kernels/debian/latest"))
	if err != nil {
		t.Fatal(err)
	}
	c.logged(latest)
	want(t, c.exec("sh", "-c", "cat /shared/from-host; echo guest > /shared/from-guest; echo e >&2; exit 7"),
		harness.Result{Stdout: "1\n", Stderr: "e\n", Code: 7})
	want(t, c.exec("probe", "unix", "say", "/run/socket", "who"), harness.Result{Stdout: "0:0\n"})
	must(t, c.exec("sh", "-c", "printf disk | dd of=/dev/data conv=fsync status=none"))
	equal(t, "the block device", strings.HasPrefix(content(t, device), "disk"), true)
	client := c.vnc(e, "5900", password)
	before := screen(t, client).Lit()
	must(t, c.exec("sh", "-c", "seq -s - 1 100 > /dev/tty1"))
	eventually(t, "the screen shows what is written", func() bool { return screen(t, client).Lit() > before+1000 })
	if _, err := dialVNC(e, c.published("5900"), "bookworm"); !errors.Is(err, rfb.ErrRefused) {
		t.Errorf("with another password: %v", err)
	}
	equal(t, "from the guest", content(t, filepath.Join(dir, "from-guest")), "guest\n")
	if err := os.WriteFile(filepath.Join(dir, "from-host"), []byte("2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the host's change in the container", func() bool {
		return strings.HasPrefix(c.exec("cat", "/shared/from-host").Stdout, "2")
	})

	// The kernel's modules are compressed, and it asks for one by itself.
	want(t, c.exec("sh", "-c", "ls /sys/firmware/efi/fw_platform_size; mount -t squashfs /dev/null /mnt 2>/dev/null; grep -o squashfs /proc/filesystems"),
		harness.Result{Stdout: "/sys/firmware/efi/fw_platform_size\nsquashfs\n"})

	small := backgroundOn(t, "runcvm-suite", "--label", "runcvm.profile=microvm", "--env", "RUNCVM_NETWORK_MODE=bridge", image, "sleep", "infinity")
	want(t, small.exec("bash", "-c", `ls /sys/bus/pci/devices 2>/dev/null | wc -l
		(exec 3<>/dev/tcp/`+small.inspect("{{.NetworkSettings.Gateway}}")+`/1) 2>&1 | grep -o 'Connection refused' | head -1`),
		harness.Result{Stdout: "0\nConnection refused\n"})
}
