package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// newVolume makes a named volume and returns its folder on the host as well.
func newVolume(t *testing.T) (name, folder string) {
	t.Helper()
	name = fmt.Sprintf("v%d", names.Add(1))
	must(t, docker(t, "volume", "create", name))
	t.Cleanup(func() { remove(t, "volume", "rm", "--force", name) })
	return name, strings.TrimSpace(must(t, docker(t, "volume", "inspect", "--format", "{{.Mountpoint}}", name)))
}

// TestDiskInAVolume makes a disk in a volume: it begins with what the image has,
// and outlives its container.
func TestDiskInAVolume(t *testing.T) {
	start(t)
	vmOnly(t)
	volume, folder := newVolume(t)
	options := []string{"--volume", volume + ":/disks", "--env", "RUNCVM_DISKS=/disks/apt,/etc/apt,ext4,64M"}
	wantList := must(t, run(t, image, "sh", "-c", "ls -ln /etc/apt | tail -n +2 | cut -d' ' -f1-4"))
	got := must(t, run(t, append(options, image, "sh", "-c", `
		findmnt -no FSTYPE /etc/apt; ls -ln --ignore=lost+found /etc/apt | tail -n +2 | cut -d' ' -f1-4
		ls -d /disks/apt 2>/dev/null; echo kept > /etc/apt/kept`)...))
	equal(t, "the new disk", got, "ext4\n"+wantList)
	want(t, run(t, append(options, image, "cat", "/etc/apt/kept")...), harness.Result{Stdout: "kept\n"})
	out, err := exec.CommandContext(t.Context(), "e2fsck", "-fn", filepath.Join(folder, "apt")).CombinedOutput()
	if err != nil || strings.Contains(string(out), "recover") {
		t.Errorf("the file system was not left in good order: %v\n%s", err, out)
	}
}

// TestDiskHasOneMachine starts a second container on the disk of the first.
func TestDiskHasOneMachine(t *testing.T) {
	start(t)
	vmOnly(t)
	volume, _ := newVolume(t)
	options := []string{"--volume", volume + ":/disks", "--env", "RUNCVM_DISKS=/disks/one,/data,ext4,64M"}
	c := background(t, append(options, image, "sh", "-c", "echo ready; sleep infinity")...)
	c.logged("ready")
	r := run(t, append(options, image, "true")...)
	if r.Code == 0 || !strings.Contains(r.Stderr, `disk "disk1": the disk is in use by another machine`) {
		t.Errorf("a second machine: %+v", r)
	}
	remove(t, "rm", "--force", c.name)
	must(t, run(t, append(options, image, "true")...))
}

// TestDiskAttributes looks at disks that differ from the guest's side, and from
// that of the host: the open files and threads of QEMU.
func TestDiskAttributes(t *testing.T) {
	start(t)
	vmOnly(t)
	volume, folder := newVolume(t)
	const profile = `{"disk": {
		"plain":   {"source": "/disks/plain", "target": "/d/plain", "size": "64M"},
		"direct":  {"source": "/disks/direct", "target": "/d/direct", "size": "64M", "fs": "ext3", "cache": "none", "aio": "native", "queues": 1},
		"through": {"source": "/disks/through", "target": "/d/through", "size": "64M", "fs": "ext2", "cache": "writethrough", "discard": "ignore", "iothread": false}
	}}`
	c := background(t, "--volume", volume+":/disks", "--cpus", "2", "--cap-add", "SYS_ADMIN", "--env", "RUNCVM_PROFILE="+profile, image, "sh", "-c", `
		for d in plain direct through; do
			v=$(basename $(findmnt -no SOURCE /d/$d))
			echo $d $(findmnt -no FSTYPE /d/$d) $(cat /sys/block/$v/serial) $(ls /sys/block/$v/mq | wc -l) $(cat /sys/block/$v/queue/write_cache)
			head -c 24M /dev/urandom > /d/$d/file; sync; rm /d/$d/file; sync
		done
		for d in plain through; do fstrim /d/$d || echo "not trimmed: $d"; done
		echo ready; exec sleep infinity`)
	c.logged("ready")
	equal(t, "what the guest sees", c.logs().Stdout,
		"plain ext4 plain 2 write back\ndirect ext3 direct 1 write back\nthrough ext2 through 2 write through\nready\n")
	for name, trimmed := range map[string]bool{"plain": true, "through": false} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if mib := info.Sys().(*syscall.Stat_t).Blocks / 2048; trimmed != (mib < 24) { //nolint:forcetypeassert // Linux
			t.Errorf("the disk %q takes %d MiB of the host, trimmed: %v", name, mib, trimmed)
		}
	}
	q := c.qemu()
	equal(t, "files open without the page cache", q.openedDirect(folder), []string{"direct"})
	equal(t, "native asynchronous I/O", strings.Contains(q.read("maps"), "[aio]"), true)
	threads := q.threads()
	equal(t, "I/O threads", slices.DeleteFunc(threads, func(name string) bool { return !strings.HasPrefix(name, "IO io-") }),
		[]string{"IO io-direct", "IO io-plain"})
}

// TestDisksThatCannotBe ends before a machine is there, or with its one line.
func TestDisksThatCannotBe(t *testing.T) {
	start(t)
	vmOnly(t)
	for text, wanted := range map[string]string{
		"/disks/a,/a":                           "Invalid disk",
		"/disks/a,/a,zfs,1G":                    `not "zfs"`,
		"/disks/a,/a,ext4,1X":                   "unknown unit",
		"disks/a,/a,ext4,1G":                    "disk.disk1.source",
		"/disks/a,/proc/a,ext4,1G":              "Impossible disk target",
		"/disks/a,/a,ext4,1G;/b,/a,ext4":        "Disk target twice",
		"/missing/a,/a,ext4":                    "no such file or directory",
		"/etc/hostname/x,/a,ext4,64M":           "not a directory",
		"/etc,/a,ext4,64M":                      "no regular file",
		"/sbin,/a,ext4,64M":                     "is a symbolic link",
		"/srv/a,/etc/passwd,ext4,64M":           "is no folder",
		"/srv/none,/a,ext4":                     "has no size",
		"/disks/a,/etc/hostname,ext4,64M":       "Disk target twice",
		"/dev/shm/a,/a,ext4,64M":                "Impossible disk source",
		"/disks/a,/a,ext4,64M,more":             "Invalid disk",
		"/disks/../a,/a,ext4,64M":               `without ".."`,
		"/disks/a,/a,ext4,100K":                 "at least",
		"/disks/a,/,ext4,64M":                   "Impossible disk target",
		"/disks/a,/a,ext4,64M;/disks/a,/b,ext4": "Disk twice",
	} {
		t.Run(text, func(t *testing.T) {
			r := run(t, "--env", "RUNCVM_DISKS="+text, image, "true")
			if r.Code == 0 || !strings.Contains(r.Stderr, wanted) {
				t.Errorf("want %q: %+v", wanted, r)
			}
		})
	}
}

// TestDiskSurvivesDeaths kills QEMU in the middle of writes, again and again:
// what was fsynced is there afterwards, and the file system is whole.
func TestDiskSurvivesDeaths(t *testing.T) {
	alone(t)
	vmOnly(t)
	deaths := 4
	if os.Getenv("SOAK_RUNS") != "" {
		deaths = 20
	}
	volume, folder := newVolume(t)
	options := []string{"--volume", volume + ":/disks", "--env", "RUNCVM_DISKS=/disks/data,/data,ext4,256M"}
	// Each line is fsynced before it is told, with unsynced writes all around.
	const writer = `
		n=$(wc -l < /data/log 2>/dev/null || echo 0); echo have $n
		(while :; do head -c 1M /dev/urandom > /data/noise.$((i = (i + 1) % 50)); done) &
		while :; do n=$((n + 1)); echo $n >> /data/log; sync /data/log; echo synced $n; done`
	synced := 0
	for death := range deaths {
		c := background(t, append(options, image, "sh", "-c", writer)...)
		target := fmt.Sprintf("synced %d", synced+3+death%5)
		c.logged(target)
		init, err := strconv.Atoi(c.inspect("{{.State.Pid}}"))
		if err != nil {
			t.Fatal(err)
		}
		pid, ok := descendant(init, "qemu-system")
		if !ok {
			t.Fatalf("no QEMU below %d", init)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		c.wait()
		last := synced
		for line := range strings.Lines(c.logs().Stdout) {
			var n int
			if _, err := fmt.Sscanf(line, "have %d", &n); err == nil && n < synced {
				t.Fatalf("death %d: %d lines are there, and %d were synced", death, n, synced)
			}
			if _, err := fmt.Sscanf(line, "synced %d", &n); err == nil {
				last = max(last, n)
			}
		}
		synced = last
		remove(t, "rm", "--force", c.name)
	}
	must(t, run(t, append(options, image, "sh", "-c", "rm /data/noise.*")...))
	out, err := exec.CommandContext(t.Context(), "e2fsck", "-fn", filepath.Join(folder, "data")).CombinedOutput()
	if err != nil {
		t.Errorf("the file system is damaged: %v\n%s", err, out)
	}
	r := run(t, append(options, image, "tail", "-n", "1", "/data/log")...)
	if n, err := strconv.Atoi(strings.TrimSpace(r.Stdout)); err != nil || n < synced {
		t.Errorf("the last line is %q, and %d were synced", r.Stdout, synced)
	}
}
