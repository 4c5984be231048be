package suite

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// inMountNamespace has the runtime run behind a script, in a mount namespace of
// its own.
func inMountNamespace(b *bundle, script string, args ...string) {
	b.under = append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-ec", script + "\n" + fmt.Sprintf(`shift %d; exec "$@"`, len(args)), "sh"}, args...)
}

// withoutDevice hides /dev/vhost-vsock from the runtime: its /dev has what else
// it needs.
func withoutDevice(t *testing.T, b *bundle) {
	inMountNamespace(b, `mount -t tmpfs -o mode=755 dev "$1"
cd /dev
cp -a null zero full random urandom tty kvm "$1"
mkdir "$1/net" "$1/pts" "$1/shm"
cp -a net/tun "$1/net"
mount --bind /dev/pts "$1/pts"
ln -s pts/ptmx "$1/ptmx"
cd /
mount --bind "$1" /dev`, t.TempDir())
}

// busyDevice puts a device that only one may have open, and which the test
// has, in the place of one that itself is never busy.
func busyDevice(t *testing.T, b *bundle, path string) {
	const single = "/dev/rtc0"
	f, err := os.Open(single)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	inMountNamespace(b, `mount --bind "$1" "$2"`, single, path)
}

// deniedByCgroup has the runtime run in a cgroup that denies the device.
func deniedByCgroup(t *testing.T, b *bundle) {
	dir, err := os.Open(denyingCgroup(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	b.adjust = func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	}
}

// denyingCgroup makes a cgroup whose processes may open every device but
// /dev/vhost-vsock.
func denyingCgroup(t *testing.T) string {
	t.Helper()
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
		t.Skip("this host has cgroup v1")
	}
	dir, err := os.MkdirTemp(root, "kvm-deny-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "the cgroup "+dir+" is empty", func() bool {
			// runc gives up early on the container's when QEMU takes long to die.
			_ = os.Remove(filepath.Join(dir, "container"))
			return os.Remove(dir) == nil
		})
	})
	program, err := ebpf.NewProgram(denyVhostVsock(t))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	attached, err := link.AttachCgroup(link.CgroupOptions{Path: dir, Attach: ebpf.AttachCGroupDevice, Program: program})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { attached.Close() })
	return dir
}

// denyVhostVsock is a program that gets a struct bpf_cgroup_dev_ctx of
// linux/bpf.h: access type, major, minor. 0 denies.
func denyVhostVsock(t *testing.T) *ebpf.ProgramSpec {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(vhostVsock, &st); err != nil {
		t.Fatal(err)
	}
	return &ebpf.ProgramSpec{
		Type:    ebpf.CGroupDevice,
		License: "Apache-2.0",
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R2, asm.R1, 4, asm.Word),
			asm.LoadMem(asm.R3, asm.R1, 8, asm.Word),
			asm.Mov.Imm(asm.R0, 1),
			asm.JNE.Imm(asm.R2, int32(unix.Major(st.Rdev)), "end"),
			asm.JNE.Imm(asm.R3, int32(unix.Minor(st.Rdev)), "end"),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return().WithSymbol("end"),
		},
	}
}
