package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/conformance/harness"
)

// tree makes files with these contents below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func content(t *testing.T, path string) string {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestBindMounts has a folder, a file, each also read-only, and one within
// another.
func TestBindMounts(t *testing.T) {
	start(t)
	bindMounts := func(runtime string) (harness.Result, map[string]string) {
		dir := tree(t, map[string]string{"dir/a": "a\n", "ro/b": "b\n", "file": "f\n", "rofile": "r\n", "inner/c": "c\n"})
		bind := func(name, target string) string { return "--volume=" + filepath.Join(dir, name) + ":" + target }
		r := runOn(t, runtime, nil, bind("dir", "/mnt/dir"), bind("ro", "/mnt/ro:ro"), bind("file", "/etc/issue"),
			bind("rofile", "/mnt/new/file:ro"), bind("inner", "/mnt/dir/inner"), image, "sh", "-c", `
			cat /mnt/dir/a /mnt/ro/b /etc/issue /mnt/new/file /mnt/dir/inner/c
			echo w > /mnt/dir/w; echo w >> /etc/issue; echo w > /mnt/dir/inner/w
			touch /mnt/ro/x 2>/dev/null || echo read-only folder; echo x 2>/dev/null > /mnt/new/file || echo read-only file
			ls /mnt/dir /mnt/dir/inner; stat -c '%F %u:%g:%a' /mnt/dir /mnt/dir/a`)
		written := map[string]string{}
		for _, name := range []string{"dir/w", "inner/w", "file", "rofile"} {
			written[name] = content(t, filepath.Join(dir, name))
		}
		return r, written
	}
	wantResult, wantFiles := bindMounts("runc")
	gotResult, gotFiles := bindMounts(underTest())
	want(t, gotResult, wantResult)
	equal(t, "files on the host", gotFiles, wantFiles)
	equal(t, "the file that was bound", gotFiles["file"], "f\nw\n")
}

func TestNamedVolume(t *testing.T) {
	start(t)
	volume := fmt.Sprintf("v%d", names.Add(1))
	must(t, docker(t, "volume", "create", volume))
	t.Cleanup(func() { remove(t, "volume", "rm", "--force", volume) })
	// Docker fills a new volume with what the image has at the mount point.
	same(t, "--volume", volume+":/etc/apt", image, "ls", "/etc/apt")
	must(t, run(t, "--volume", volume+":/data", image, "sh", "-c", "echo kept > /data/file; chown 1000:1001 /data/file"))
	want(t, run(t, "--volume", volume+":/data:ro", image, "sh", "-c", "cat /data/file; stat -c %u:%g /data/file; touch /data/x 2>/dev/null || echo ro"),
		harness.Result{Stdout: "kept\n1000:1001\nro\n"})
}

// TestVolumeWhoseSourceGoes has the source of a volume be a mount that is taken
// away once the container runs, as Docker does with a folder within a volume
// (volume-subpath, from version 26): the container keeps what it has.
func TestVolumeWhoseSourceGoes(t *testing.T) {
	start(t)
	folder, point := tree(t, map[string]string{"sub/file": "1\n"}), filepath.Join(t.TempDir(), "point")
	if err := os.Mkdir(point, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(filepath.Join(folder, "sub"), point, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(point, unix.MNT_DETACH) }) // where the test ends before it does
	c := background(t, "--volume", point+":/v", image, "sleep", "infinity")
	want(t, c.exec("cat", "/v/file"), harness.Result{Stdout: "1\n"})
	if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(point); err != nil {
		t.Fatal(err)
	}
	want(t, c.exec("sh", "-c", "cat /v/file; mkdir /v/made && echo 2 > /v/made/file; ls /v"), harness.Result{Stdout: "1\nfile\nmade\n"})
	equal(t, "the container's file", content(t, filepath.Join(folder, "sub/made/file")), "2\n")
}

func TestVolumeIsSharedWhileRunning(t *testing.T) {
	start(t)
	dir := tree(t, map[string]string{"from-host": "1\n"})
	c := background(t, "--volume", dir+":/shared", image, "sleep", "infinity")
	want(t, c.exec("cat", "/shared/from-host"), harness.Result{Stdout: "1\n"})
	must(t, c.exec("sh", "-c", "echo guest > /shared/from-guest"))
	equal(t, "from the guest", content(t, filepath.Join(dir, "from-guest")), "guest\n")
	if err := os.WriteFile(filepath.Join(dir, "later"), []byte("2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the host's new file in the container", func() bool { return c.exec("cat", "/shared/later").Stdout == "2\n" })
}

func TestTmpfs(t *testing.T) {
	start(t)
	same(t, "--tmpfs", "/one", "--tmpfs", "/two:size=10m,mode=0700,uid=1000", image, "sh", "-c", `
		for d in /one /two; do grep -c " $d tmpfs " /proc/mounts; stat -c '%n %u:%a' $d; echo x > $d/f && cat $d/f; done
		df -k /two | tail -1 | { read a b c; echo $b; }`)
}

func TestReadOnly(t *testing.T) {
	start(t)
	dir := tree(t, map[string]string{"a": "a\n"})
	same(t, "--read-only", "--tmpfs", "/run", "--volume", dir+":/data", image, "sh", "-c", `
		touch /x 2>&1; echo r > /run/r && cat /run/r; echo d > /data/d && cat /data/d; touch /etc/hostname-x 2>&1
		echo s > /dev/shm/s && cat /dev/shm/s`)
}

func TestMountOfASymbolicLink(t *testing.T) {
	start(t)
	e := suite.engine
	tag := "conformance:link"
	dir := tree(t, map[string]string{"keep": ""})
	if err := os.Symlink("/srv/real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := e.BuildImage(t.Context(), tag, "FROM "+image+"\nCOPY . /links/\n", dir); err != nil {
		t.Fatal(err)
	}
	data := tree(t, map[string]string{"a": "through a link\n"})
	// The link is followed in the image, never on the host.
	same(t, "--volume", data+":/links/link/data", tag, "sh", "-c", "cat /links/link/data/a; readlink /links/link; ls /srv/real")
	if _, err := os.Lstat("/srv/real"); err == nil {
		t.Error("/srv/real was made on the host")
	}
}

// TestFileSystem has the operations that programs expect of a root.
func TestFileSystem(t *testing.T) {
	start(t)
	same(t, image, "bash", "-c", `set -e; cd /srv
		echo a > a; ln a b; ln -s a c; stat -c %h a; readlink c; mv a d; cat b; mkfifo p; stat -c %F p
		chmod 4751 d; stat -c %a d; chown 12:34 d; stat -c %u:%g:%a d; touch -d '2001-02-03 04:05:06 UTC' d; stat -c %Y d
		truncate -s 1M big; stat -c %s big; dd if=big of=copy bs=64k status=none; cmp big copy
		(flock -n 9 && echo locked) 9> lock; mkdir -p x/y; rmdir x/y; rm -r x; ls
		perl -e 'open F, "+>", "m" or die; unlink "m"; print F "kept"; seek F,0,0; print <F>, "\n"'
		perl -MSocket -e 'socket S, AF_UNIX, SOCK_STREAM, 0; bind S, sockaddr_un("s") or die; print -S "s" ? "socket\n" : "none\n"'
		mknod n c 1 3; echo x > n; stat -c %t:%T n; df --output=target / | tail -1; sync; echo end`)
}

// TestSharedMapping writes files through mappings: the kernel's writeback
// carries the pages, which stalls the writer when it does not work, and what
// it has not carried by the container's end is written then.
func TestSharedMapping(t *testing.T) {
	start(t)
	const mib = 24
	dir := t.TempDir()
	name := newName(t)
	must(t, docker(t, "run", "--name", name, "--runtime", underTest(), "--volume", dir+":/mnt", probeImage,
		"sh", "-c", fmt.Sprintf("probe map /mnt/f %d && probe map /var/f %d", mib, mib)))
	must(t, docker(t, "cp", name+":/var/f", filepath.Join(dir, "root")))
	for _, file := range []string{"f", "root"} {
		if got := strings.Count(content(t, filepath.Join(dir, file)), "m"); got != mib<<20 {
			t.Errorf("%s: %d bytes arrived, want %d", file, got, mib<<20)
		}
	}
}
