package conformance

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// loopDevice makes a block device of a file until the test ends.
func loopDevice(t *testing.T, size int64) (device, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "losetup", "--find", "--show", file).Output()
	if err != nil {
		t.Fatalf("losetup: %v", err)
	}
	device = strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach %s: %v: %s", device, err, out)
		}
	})
	return device, file
}

// TestBlockDevices gives the guest block devices of the host.
func TestBlockDevices(t *testing.T) {
	start(t)
	vmOnly(t)
	harness.Require(t, harness.Loop)
	const size = 64 << 20
	writable, file := loopDevice(t, size)
	reading, other := loopDevice(t, size)
	const mark = "written on the host"
	f, err := os.OpenFile(other, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(mark), 4096); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(writable)
	if err != nil {
		t.Fatal(err)
	}
	options := []string{"--device", writable + ":/dev/xvdb", "--device", reading + ":/dev/disks/backup:r", "--cap-add", "SYS_ADMIN"}
	c := background(t, append(options, image, "sh", "-c", `
		stat -c '%F %a' /dev/xvdb /dev/disks/backup
		blockdev --getsize64 /dev/xvdb /dev/disks/backup; blockdev --getro /dev/xvdb /dev/disks/backup
		dd if=/dev/disks/backup bs=1 skip=4096 count=19 status=none; echo
		echo x 2>/dev/null > /dev/disks/backup || echo not written
		mkfs.ext4 -q /dev/xvdb && mkdir /mnt/d && mount /dev/xvdb /mnt/d && echo kept > /mnt/d/file && umount /mnt/d && echo made
		exec sleep infinity`)...)
	c.logged("made")
	equal(t, "what the guest sees", c.logs().Stdout,
		strings.Repeat(fmt.Sprintf("block special file %o\n", info.Mode().Perm()), 2)+"67108864\n67108864\n0\n1\n"+mark+"\nnot written\nmade\n")

	// What the guest has synced is in the device.
	out, err := exec.CommandContext(t.Context(), "debugfs", "-R", "cat /file", file).Output()
	if err != nil || string(out) != "kept\n" {
		t.Errorf("the guest's file on the host: %q, %v", out, err)
	}
	// It is this machine's alone; the other one is not.
	r := run(t, "--device", writable, image, "true")
	if r.Code == 0 || !strings.Contains(r.Stderr, "the host or another machine uses it") {
		t.Errorf("a second machine: %+v", r)
	}
	// A place that is not in /dev, and a root that nobody can write to.
	want(t, run(t, "--device", reading+":/opt/new/b:r", "--read-only", image, "sh", "-c", "dd if=/opt/new/b bs=1 skip=4096 count=19 status=none; stat -c ' %F' /opt/new/b"),
		harness.Result{Stdout: mark + " block special file\n"})
	remove(t, "rm", "--force", c.name)
	// Without a file system, the disk is what its bytes are.
	must(t, run(t, "--device", writable+":/dev/sda", image, "sh", "-c", "printf whole | dd of=/dev/sda bs=512 seek=8 conv=fsync status=none"))
	data, err := os.ReadFile(writable)
	if err != nil || !bytes.HasPrefix(data[4096:], []byte("whole")) {
		t.Errorf("the bytes on the host: %q, %v", data[4096:4101], err)
	}
}

// TestDevicesThatCannotBe ends before anything starts.
func TestDevicesThatCannotBe(t *testing.T) {
	start(t)
	vmOnly(t)
	r := run(t, "--device", "/dev/ptmx:/dev/mine", "--device", "/dev/loop-control", image, "sh", "-c", "stat -c %F /dev/mine /dev/loop-control")
	want(t, r, harness.Result{Stdout: "character special file\ncharacter special file\n"})
	// A major number that Linux gives to local use (Documentation/admin-guide/devices.txt).
	node := filepath.Join(t.TempDir(), "node")
	if err := syscall.Mknod(node, syscall.S_IFCHR|0o600, 60<<8|255); err != nil {
		t.Fatal(err)
	}
	r = run(t, "--device", node+":/dev/sensor", image, "true")
	if r.Code != 125 || !strings.Contains(r.Stderr, "Device of the host not supported") || !strings.Contains(r.Stderr, "/dev/sensor") {
		t.Errorf("a character device: %+v", r)
	}
	// All devices of the host, and none of them is asked for.
	want(t, run(t, "--privileged", image, "sh", "-c", "ls -d /dev/sd* /dev/loop[0-9]* /dev/vd* 2>/dev/null; lsblk -dn 2>/dev/null | wc -l"), harness.Result{Stdout: "0\n"})
}
