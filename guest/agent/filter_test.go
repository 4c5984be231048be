package agent

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent/rootfs"
	"github.com/runcvm/runcvm/guest/api"
)

// refuse is a filter that answers a system call with EPERM.
func refuse(call uint32) *api.SyscallFilter {
	var program []byte
	for _, i := range []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW},
	} {
		program = binary.LittleEndian.AppendUint16(program, i.Code)
		program = append(program, i.Jt, i.Jf)
		program = binary.LittleEndian.AppendUint32(program, i.K)
	}
	return &api.SyscallFilter{Program: program}
}

// TestFilter: every process of the container is under its filter, whether it may
// install one itself or not.
func TestFilter(t *testing.T) {
	c := newContainer(t)
	c.agent.FilterSyscalls(refuse(unix.SYS_MKDIR))
	c.build(rootfs.Config{Mounts: defaultMounts})
	c.start(true, shell("mkdir /tmp/first; sleep infinity"), nil)
	for _, privileges := range []bool{false, true} {
		spec := shell("mkdir /tmp/other; grep Seccomp: /proc/self/status; ls /tmp")
		spec.NoNewPrivileges = privileges
		spec.User.UID = 1000
		r, end := c.run(spec, nil)
		if end.Code != 0 || r.stdout.String() != "Seccomp:\t2\n" || !strings.Contains(r.stderr.String(), "Operation not permitted") {
			t.Errorf("no_new_privs %t: code %d, %q, %q", privileges, end.Code, r.stdout.String(), r.stderr.String())
		}
	}
}

// TestFilterThatIsNone: a program that the kernel refuses is told.
func TestFilterThatIsNone(t *testing.T) {
	for _, program := range [][]byte{{}, {1, 2, 3}, make([]byte, 8)} {
		c := newContainer(t)
		c.agent.FilterSyscalls(&api.SyscallFilter{Program: program})
		c.build(rootfs.Config{Mounts: defaultMounts})
		r := c.start(true, shell("exit 0"), nil)
		if r.failed == nil || !strings.Contains(r.failed.Message, "seccomp profile") {
			t.Errorf("%v: %+v", program, r.failed)
		}
	}
}
