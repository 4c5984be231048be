package seccomp

import (
	"encoding/binary"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"

	"github.com/runcvm/runcvm/engine/plan"
)

const (
	allow = 0x7fff0000
	eperm = 0x00050001

	x86_64 = 0xc000003e // AUDIT_ARCH_X86_64
	i386   = 0x40000003 // AUDIT_ARCH_I386
	arm64  = 0xc00000b7
)

// kernel runs a filter as the kernel does. The package's machine reads memory
// big-endian, as packets are.
func kernel(t *testing.T, f *plan.SyscallFilter, arch, number uint32, args ...uint64) uint32 {
	t.Helper()
	var raw []bpf.RawInstruction
	for p := f.Program; len(p) > 0; p = p[8:] {
		raw = append(raw, bpf.RawInstruction{
			Op: binary.LittleEndian.Uint16(p), Jt: p[2], Jf: p[3], K: binary.LittleEndian.Uint32(p[4:]),
		})
	}
	program, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the program does not disassemble")
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	data := binary.BigEndian.AppendUint32(nil, number)
	data = binary.BigEndian.AppendUint32(data, arch)
	data = append(data, make([]byte, 8)...)
	for i := range 6 {
		var a uint64
		if i < len(args) {
			a = args[i]
		}
		// The low half comes first.
		data = binary.BigEndian.AppendUint32(data, uint32(a))
		data = binary.BigEndian.AppendUint32(data, uint32(a>>32))
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}

// Numbers of calls.
const (
	read64, mkdir64, personality64, socket64, clone64 = 0, 83, 135, 41, 56
	mkdir32                                           = 39
)

func TestCompile(t *testing.T) {
	enosys := uint(38)
	filter, err := Compile(&specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86},
		Flags:         []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog},
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"mkdir", "mkdirat", "no_such_call"}, Action: specs.ActErrno},
			{Names: []string{"socket"}, Action: specs.ActErrno, ErrnoRet: &enosys, Args: []specs.LinuxSeccompArg{
				{Index: 0, Value: 16, Op: specs.OpEqualTo}, {Index: 2, Value: 9, Op: specs.OpGreaterEqual},
			}},
			{Names: []string{"personality"}, Action: specs.ActKillProcess, Args: []specs.LinuxSeccompArg{
				{Index: 0, Value: 1, Op: specs.OpEqualTo}, {Index: 0, Value: 7, Op: specs.OpEqualTo},
			}},
			{Names: []string{"clone"}, Action: specs.ActTrap, Args: []specs.LinuxSeccompArg{
				{Index: 0, Value: 0x7e020000, ValueTwo: 0x20000, Op: specs.OpMaskedEqual},
			}},
			// What is unconditional wins, wherever it stands.
			{Names: []string{"read"}, Action: specs.ActTrap, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 5, Op: specs.OpLessThan}}},
			{Names: []string{"read"}, Action: specs.ActLog},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if filter.Flags != 2 {
		t.Errorf("flags %d", filter.Flags)
	}
	for _, k := range []struct {
		arch, number uint32
		args         []uint64
		want         uint32
	}{
		{x86_64, mkdir64, nil, eperm},
		{i386, mkdir32, nil, eperm},
		{i386, mkdir64, nil, allow},
		{arm64, mkdir64, nil, killThread},
		{x86_64, mkdir64 | x32Bit, nil, killThread},
		{x86_64, socket64, []uint64{16, 3, 9}, 0x00050026},
		{x86_64, socket64, []uint64{16, 3, 1 << 40}, 0x00050026},
		{x86_64, socket64, []uint64{16, 3, 8}, allow},
		{x86_64, socket64, []uint64{16 | 1<<32, 3, 9}, allow},
		{x86_64, personality64, []uint64{1}, 0x80000000},
		{x86_64, personality64, []uint64{7}, 0x80000000},
		{x86_64, personality64, []uint64{2}, allow},
		{x86_64, clone64, []uint64{0x20011}, 0x00030000},
		{x86_64, clone64, []uint64{0x30020011}, allow},
		{x86_64, read64, []uint64{1}, 0x7ffc0000},
		{x86_64, 999, nil, allow},
	} {
		if got := kernel(t, filter, k.arch, k.number, k.args...); got != k.want {
			t.Errorf("arch %#x, call %d %v: %#x, want %#x", k.arch, k.number, k.args, got, k.want)
		}
	}
}

func TestComparisons(t *testing.T) {
	const big = 5 << 32
	values := []uint64{0, 4, 5, 6, big - 1, big + 4, big + 5, big + 6, 6 << 32, 1<<64 - 1}
	for op, holds := range map[specs.LinuxSeccompOperator]func(a, b uint64) bool{
		specs.OpEqualTo:      func(a, b uint64) bool { return a == b },
		specs.OpNotEqual:     func(a, b uint64) bool { return a != b },
		specs.OpLessThan:     func(a, b uint64) bool { return a < b },
		specs.OpLessEqual:    func(a, b uint64) bool { return a <= b },
		specs.OpGreaterThan:  func(a, b uint64) bool { return a > b },
		specs.OpGreaterEqual: func(a, b uint64) bool { return a >= b },
	} {
		for _, value := range values {
			filter, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
				// Behind another condition, and before another call.
				{Names: []string{"socket"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{
					{Index: 0, Value: 3, Op: specs.OpEqualTo}, {Index: 5, Value: value, Op: op}, {Index: 1, Value: 9, Op: specs.OpNotEqual},
				}},
				{Names: []string{"mkdir"}, Action: specs.ActAllow},
			}})
			if err != nil {
				t.Fatal(err)
			}
			for _, arg := range values {
				want := uint32(eperm)
				if holds(arg, value) {
					want = allow
				}
				if got := kernel(t, filter, x86_64, socket64, 3, 1, 0, 0, 0, arg); got != want {
					t.Errorf("%d %s %d: %#x, want %#x", arg, op, value, got, want)
				}
				if got := kernel(t, filter, x86_64, socket64, 3, 9, 0, 0, 0, arg); got != eperm {
					t.Errorf("%d %s %d with another argument: %#x", arg, op, value, got)
				}
			}
			if got := kernel(t, filter, x86_64, mkdir64); got != allow {
				t.Errorf("mkdir: %#x", got)
			}
		}
	}
}

func TestCannotCompile(t *testing.T) {
	big := uint(5000)
	for want, profile := range map[string]specs.LinuxSeccomp{
		"SCMP_ACT_NOTIFY":       {DefaultAction: specs.ActNotify},
		"SCMP_ACT_TRACE":        {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir"}, Action: specs.ActTrace}}},
		"a listener":            {DefaultAction: specs.ActAllow, ListenerPath: "/run/x"},
		`flag "X"`:              {DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{"X"}},
		"5000 is no error":      {DefaultAction: specs.ActErrno, DefaultErrnoRet: &big},
		"no argument 6":         {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 6}}}}},
		`comparison "SCMP_CMP"`: {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Op: "SCMP_CMP"}}}}},
	} {
		if _, err := Compile(&profile); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// FuzzCompile: whatever profile there is, the program is one that ends.
func FuzzCompile(f *testing.F) {
	f.Add("mkdir", uint8(3), uint64(5), uint64(1), 0)
	f.Fuzz(func(t *testing.T, name string, args uint8, value, two uint64, op int) {
		ops := []specs.LinuxSeccompOperator{specs.OpEqualTo, specs.OpNotEqual, specs.OpLessThan, specs.OpMaskedEqual, specs.OpGreaterEqual}
		call := specs.LinuxSyscall{Names: []string{name, "read"}, Action: specs.ActErrno}
		for i := range uint(args % 12) {
			call.Args = append(call.Args, specs.LinuxSeccompArg{Index: i % 6, Value: value + uint64(i), ValueTwo: two, Op: ops[uint(op)%uint(len(ops))]})
		}
		filter, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{call, call}})
		if err != nil {
			t.Fatal(err)
		}
		if got := kernel(t, filter, x86_64, 0, value, two); got != allow && got != eperm {
			t.Errorf("%#x", got)
		}
	})
}
