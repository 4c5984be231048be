package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent/rootfs"
	"github.com/runcvm/runcvm/guest/api"
)

// mounted starts a container with these mounts beside the default ones.
func mounted(c *container, config rootfs.Config) {
	c.t.Helper()
	config.Mounts = append(append([]api.Mount(nil), defaultMounts...), config.Mounts...)
	c.build(config)
	c.start(true, specs.Process{Args: []string{"sleep", "infinity"}}, nil)
}

// check runs a script, as root with no capabilities to speak of, and compares
// what it prints.
func check(c *container, script, want string) {
	c.t.Helper()
	r, _ := c.run(shell(script), nil)
	if got := strings.TrimSpace(r.stdout.String()); got != want {
		c.t.Errorf("%s: %q, want %q (stderr %q)", script, got, want, &r.stderr)
	}
}

func TestVolumes(t *testing.T) {
	c := newContainer(t, func(share string) {
		volumes := filepath.Join(share, api.VolumesDir)
		write(t, filepath.Join(volumes, "0"), "a file", 0o644)
		for _, dir := range []string{"1/sub", "2"} {
			if err := os.MkdirAll(filepath.Join(volumes, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Mount("tmpfs", filepath.Join(volumes, "1/sub"), "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
	})
	mounted(c, rootfs.Config{Mounts: []api.Mount{
		{Type: api.TypeVolume, Source: "0", Destination: "/etc/hosts", Options: []string{"rbind", "rprivate"}},
		{Type: api.TypeVolume, Source: "1", Destination: "/ro", Options: []string{"rbind", "ro", "nosuid", "nodev"}},
		{Type: api.TypeVolume, Source: "1", Destination: "/rro", Options: []string{"rbind", "rro"}},
		{Type: api.TypeVolume, Source: "2", Destination: "/new/place", Options: []string{"rbind", "noexec"}},
	}})
	check(c, "cat /etc/hosts", "a file")
	check(c, "echo x > /ro/y || echo refused", "refused")
	check(c, "echo x > /ro/sub/y && echo written", "written")
	check(c, "echo x > /rro/sub/z || echo refused", "refused")
	check(c, "echo x > /new/place/y && cat /new/place/y", "x")
	check(c, "grep -E ' /(ro|new/place) ' /proc/self/mounts | cut -d' ' -f2,4 | cut -d, -f1-3", "/ro ro,nosuid,nodev\n/new/place rw,noexec,relatime")
}

func TestFilesystems(t *testing.T) {
	c := newContainer(t)
	image := filepath.Join(c.share, api.RootDir)
	write(t, filepath.Join(image, "home/app/file"), "copied", 0o640)
	if err := os.Chown(filepath.Join(image, "home/app/file"), 1000, 1000); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(image, "tmp"), os.ModeSticky|0o777); err != nil {
		t.Fatal(err)
	}
	mode := os.FileMode(0o600)
	uid := uint32(1000)
	mounted(c, rootfs.Config{
		Mounts: []api.Mount{
			{Type: "tmpfs", Destination: "/tmp", Options: []string{"nosuid"}},
			{Type: "tmpfs", Destination: "/run", Options: []string{"mode=711", "size=128k", "uid=5"}},
			{Type: "tmpfs", Destination: "/home", Options: []string{"tmpcopyup", "ro"}},
			{Type: "mqueue", Destination: "/dev/mqueue", Options: []string{"nosuid"}},
			{Type: "sysfs", Destination: "/sys", Options: []string{"ro"}},
		},
		Devices: []api.Device{{Path: "/dev/sub/fuse", Type: "c", Major: 10, Minor: 229, FileMode: &mode, UID: &uid}},
	})
	check(c, "stat -c %a /tmp /run", "1777\n711")
	check(c, "stat -c %u /run; df -k --output=size /run | tail -1 | tr -d ' '", "5\n128")
	check(c, "stat -c '%a %u' /home/app/file; echo > /home/x || echo refused", "640 1000\nrefused")
	check(c, "stat -c '%a %u %t:%T %F' /dev/sub/fuse", "600 1000 a:e5 character special file")
	check(c, "stat -c '%a %t:%T' /dev/null /dev/tty", "666 1:3\n666 5:0")
	check(c, "readlink /dev/ptmx /dev/fd /dev/stdout", "pts/ptmx\n/proc/self/fd\n/proc/self/fd/1")
	check(c, "ls /dev/mqueue; ls -d /sys/kernel", "/sys/kernel")
	check(c, "cat /proc/1/comm; ls /newroot "+c.share+" 2>&1 | grep -c 'No such'", "sleep\n2")
}

func TestReadOnlyRoot(t *testing.T) {
	c := newContainer(t)
	mounted(c, rootfs.Config{ReadOnly: true})
	check(c, "echo x > /etc/x || echo refused; echo x > /dev/shm/x && echo written", "refused\nwritten")
}

func TestHostileMountPoints(t *testing.T) {
	c := newContainer(t)
	image := filepath.Join(c.share, api.RootDir)
	outside := t.TempDir()
	for name, target := range map[string]string{
		"data": outside, "up": "../../../../.." + outside, "app": "/home/app",
	} {
		if err := os.Symlink(target, filepath.Join(image, name)); err != nil {
			t.Fatal(err)
		}
	}
	mounted(c, rootfs.Config{Mounts: []api.Mount{
		{Type: "tmpfs", Destination: "/data", Options: []string{"mode=700"}},
		{Type: "tmpfs", Destination: "/up/below", Options: []string{"mode=700"}},
		{Type: "tmpfs", Destination: "/app", Options: []string{"mode=700"}},
	}})
	check(c, "stat -c %a "+outside+" "+outside+"/below /home/app", "700\n700\n700")
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside of the root there is %v, %v", left, err)
	}
}

func TestMountFailureNamesTheMount(t *testing.T) {
	c := newContainer(t)
	err := c.agent.BuildRoot(rootfs.Config{Mounts: []api.Mount{{Type: "nofs", Destination: "/x"}}})
	if err == nil || !strings.Contains(err.Error(), `mount "/x" (nofs): no such device`) {
		t.Errorf("%v", err)
	}
}

// TestImageStaysAsItIs is why docker diff of a fresh container is empty.
func TestImageStaysAsItIs(t *testing.T) {
	c := newContainer(t)
	image := filepath.Join(c.share, api.RootDir)
	before := snapshot(t, image)
	mounted(c, rootfs.Config{})
	check(c, "echo x", "x")
	after := snapshot(t, image)
	for path, was := range before {
		if is := after[path]; is != was {
			t.Errorf("%s: %q, was %q", path, is, was)
		}
		delete(after, path)
	}
	for path := range after {
		t.Errorf("%s is new", path)
	}
}

// snapshot describes what is in the image itself.
func snapshot(t *testing.T, image string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(image, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[path] = info.Mode().String() + " " + info.ModTime().String()
		switch rel, _ := filepath.Rel(image, path); rel {
		case "usr", "bin", "sbin", "lib", "lib64": // the host's
			if d.IsDir() {
				return fs.SkipDir
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestHiddenPaths(t *testing.T) {
	c := newContainer(t)
	image := filepath.Join(c.share, api.RootDir)
	for _, file := range []string{"secret", "dir/secret", "fixed/file", "open/file"} {
		path := filepath.Join(image, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, "text", 0o666)
	}
	mounted(c, rootfs.Config{
		MaskedPaths:   []string{"/secret", "/dir", "/none", "/open/file/none"},
		ReadonlyPaths: []string{"/fixed", "/none", "/proc/sys"},
	})
	check(c, "wc -c < /secret; ls -A /dir; cat /fixed/file", "0\ntext")
	check(c, "echo x > /fixed/file || echo refused; echo 1 > /proc/sys/vm/drop_caches || echo refused", "refused\nrefused")
	check(c, "echo x > /open/file && cat /open/file; echo 500 > /proc/self/oom_score_adj && echo written", "x\nwritten")
}
