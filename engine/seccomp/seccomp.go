// Package seccomp makes the kernel's filter program (seccomp(2)) of an OCI
// linux.seccomp, as libseccomp does for runc: what is unconditional about a system
// call goes before what depends on its arguments, and a calling convention that the
// profile does not name is killed.
package seccomp

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/elastic/go-seccomp-bpf/arch"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"

	"github.com/runcvm/runcvm/engine/plan"
)

// Offsets in struct seccomp_data.
const (
	numberOffset = 0
	archOffset   = 4
	argsOffset   = 16
)

// maxInstructions is BPF_MAXINSNS.
const maxInstructions = 4096

// x32Bit is in the numbers of the calls of x86-64's convention with 32-bit
// pointers.
const x32Bit = 0x40000000

// killThread is SECCOMP_RET_KILL_THREAD.
const killThread = 0

// actions are the values of linux/seccomp.h. Those that a tracer or a listener of
// the host would answer are not among them.
var actions = map[specs.LinuxSeccompAction]uint32{
	specs.ActKill:        killThread,
	specs.ActKillThread:  killThread,
	specs.ActKillProcess: 0x80000000,
	specs.ActTrap:        0x00030000,
	specs.ActErrno:       0x00050000,
	specs.ActLog:         0x7ffc0000,
	specs.ActAllow:       0x7fff0000,
}

var flags = map[specs.LinuxSeccompFlag]uint32{
	"SECCOMP_FILTER_FLAG_TSYNC":     0, // one thread makes itself the program
	specs.LinuxSeccompFlagLog:       1 << 1,
	specs.LinuxSeccompFlagSpecAllow: 1 << 2,
}

// conventions are those of x86-64 that a profile may name.
var conventions = map[specs.Arch]*arch.Info{
	specs.ArchX86_64: arch.X86_64, specs.ArchX86: arch.I386, specs.ArchX32: arch.X32,
}

// Compile makes the filter. Names of calls that no kernel of the table has are left
// out, as runc does.
func Compile(profile *specs.LinuxSeccomp) (*plan.SyscallFilter, error) {
	if profile.ListenerPath != "" {
		return nil, fmt.Errorf("it has a listener on the host (%s)", profile.ListenerPath)
	}
	filter := new(plan.SyscallFilter)
	for _, f := range profile.Flags {
		value, ok := flags[f]
		if !ok {
			return nil, fmt.Errorf("the flag %q is not known", f)
		}
		filter.Flags |= value
	}
	whatElse, err := action(profile.DefaultAction, profile.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	named := map[*arch.Info]bool{arch.X86_64: true}
	for _, a := range profile.Architectures {
		if info := conventions[a]; info != nil {
			named[info] = true
		}
	}
	program := []bpf.Instruction{load(archOffset)}
	for _, kind := range []struct {
		id    uint32
		infos []*arch.Info
	}{
		{uint32(arch.X86_64.ID), []*arch.Info{arch.X86_64, arch.X32}},
		{uint32(arch.I386.ID), []*arch.Info{arch.I386}},
	} {
		part, err := convention(profile, kind.infos, named, whatElse)
		if err != nil {
			return nil, err
		}
		// A jump of any length around the part.
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: kind.id, SkipTrue: 1}, bpf.Jump{Skip: uint32(len(part))})
		program = append(program, part...)
	}
	program = append(program, bpf.RetConstant{Val: killThread})
	if len(program) > maxInstructions {
		return nil, fmt.Errorf("it makes a program of %d instructions, and the kernel takes %d", len(program), maxInstructions)
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, err
	}
	for _, i := range raw {
		filter.Program = binary.LittleEndian.AppendUint16(filter.Program, i.Op)
		filter.Program = append(filter.Program, i.Jt, i.Jf)
		filter.Program = binary.LittleEndian.AppendUint32(filter.Program, i.K)
	}
	return filter, nil
}

// convention is the part for the conventions with one number of architecture: it
// always returns.
func convention(profile *specs.LinuxSeccomp, infos []*arch.Info, named map[*arch.Info]bool, whatElse uint32) ([]bpf.Instruction, error) {
	if !slices.ContainsFunc(infos, func(i *arch.Info) bool { return named[i] }) {
		return []bpf.Instruction{bpf.RetConstant{Val: killThread}}, nil
	}
	part := []bpf.Instruction{load(numberOffset)}
	if slices.Contains(infos, arch.X32) && !named[arch.X32] {
		part = append(part, bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: x32Bit, SkipFalse: 1}, bpf.RetConstant{Val: killThread})
	}
	// What is unconditional wins.
	for _, conditional := range []bool{false, true} {
		for i := range profile.Syscalls {
			rule := &profile.Syscalls[i]
			if (len(rule.Args) > 0) != conditional {
				continue
			}
			then, err := action(rule.Action, rule.ErrnoRet)
			if err != nil {
				return nil, err
			}
			if then == whatElse {
				continue
			}
			blocks, err := conditions(rule.Args, then)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", strings.Join(rule.Names, ", "), err)
			}
			for _, name := range rule.Names {
				for _, info := range infos {
					number, ok := info.SyscallNames[name]
					if !ok || !named[info] {
						continue
					}
					part = append(part, call(uint32(number|info.SeccompMask), blocks)...) //nolint:gosec // a table's
				}
			}
		}
	}
	return append(part, bpf.RetConstant{Val: whatElse}), nil
}

// call runs the blocks for a call of the number, which is loaded before and
// afterwards.
func call(number uint32, blocks [][]bpf.Instruction) []bpf.Instruction {
	var body []bpf.Instruction
	for _, b := range blocks {
		body = append(body, b...)
	}
	if len(blocks) > 1 || len(body) > 1 { // they have loaded arguments
		body = append(body, load(numberOffset))
	}
	return append([]bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: number, SkipTrue: 1}, bpf.Jump{Skip: uint32(len(body))},
	}, body...)
}

// conditions are blocks that return then when the arguments are so, and go on
// behind themselves otherwise. As with runc, all have to be met, but for several
// about one argument, of which each is enough.
func conditions(args []specs.LinuxSeccompArg, then uint32) ([][]bpf.Instruction, error) {
	seen := map[uint]bool{}
	alone := false
	for _, a := range args {
		alone = alone || seen[a.Index]
		seen[a.Index] = true
	}
	groups := [][]specs.LinuxSeccompArg{args}
	if alone {
		groups = nil
		for _, a := range args {
			groups = append(groups, []specs.LinuxSeccompArg{a})
		}
	}
	var blocks [][]bpf.Instruction
	for _, group := range groups {
		block := []bpf.Instruction{bpf.RetConstant{Val: then}}
		for _, a := range slices.Backward(group) {
			check, err := compare(a, len(block))
			if err != nil {
				return nil, err
			}
			block = append(check, block...)
		}
		blocks = append(blocks, block)
	}
	return blocks, nil
}

// orders are the comparisons by order, of the high halves of two numbers, and where
// these are equal of the low ones.
var orders = map[specs.LinuxSeccompOperator]struct{ high, low bpf.JumpTest }{
	specs.OpGreaterThan:  {bpf.JumpGreaterThan, bpf.JumpGreaterThan},
	specs.OpGreaterEqual: {bpf.JumpGreaterThan, bpf.JumpGreaterOrEqual},
	specs.OpLessThan:     {bpf.JumpLessThan, bpf.JumpLessThan},
	specs.OpLessEqual:    {bpf.JumpLessThan, bpf.JumpLessOrEqual},
}

// compare goes on behind itself when the argument is so, else skips the rest of
// instructions that follow.
func compare(a specs.LinuxSeccompArg, rest int) ([]bpf.Instruction, error) {
	if a.Index > 5 {
		return nil, fmt.Errorf("a call has no argument %d", a.Index)
	}
	offset := uint32(argsOffset + 8*a.Index)
	low, high := load(offset), load(offset+4)
	value, valueLow, valueHigh := a.Value, uint32(a.Value), uint32(a.Value>>32) //nolint:gosec // halves
	fail := uint8(rest)                                                         //nolint:gosec // six arguments of seven instructions
	switch a.Op {
	case specs.OpEqualTo:
		return equal(high, low, ^uint64(0), value, fail), nil
	case specs.OpMaskedEqual:
		return equal(high, low, a.Value, a.ValueTwo, fail), nil
	case specs.OpNotEqual:
		return []bpf.Instruction{
			high,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: valueHigh, SkipFalse: 2},
			low,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: valueLow, SkipTrue: fail},
		}, nil
	}
	if o, ok := orders[a.Op]; ok {
		return []bpf.Instruction{
			high,
			bpf.JumpIf{Cond: o.high, Val: valueHigh, SkipTrue: 3},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: valueHigh, SkipFalse: 2 + fail},
			low,
			bpf.JumpIf{Cond: o.low, Val: valueLow, SkipFalse: fail},
		}, nil
	}
	return nil, fmt.Errorf("the comparison %q is not known", a.Op)
}

// equal compares what a mask leaves of an argument.
func equal(high, low bpf.LoadAbsolute, mask, value uint64, fail uint8) []bpf.Instruction {
	return []bpf.Instruction{
		high,
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: uint32(mask >> 32)},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(value >> 32), SkipFalse: 3 + fail},
		low,
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: uint32(mask)},               //nolint:gosec // a half
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(value), SkipFalse: fail}, //nolint:gosec // a half
	}
}

func load(offset uint32) bpf.LoadAbsolute { return bpf.LoadAbsolute{Off: offset, Size: 4} }

// action is the value that the filter returns.
func action(a specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	value, ok := actions[a]
	if !ok {
		return 0, fmt.Errorf("nobody answers the action %q in the guest", a)
	}
	if a == specs.ActErrno {
		number := uint(1) // EPERM
		if errno != nil {
			number = *errno
		}
		const maxErrno = 4095
		if number > maxErrno {
			return 0, fmt.Errorf("%d is no error number", number)
		}
		value |= uint32(number) //nolint:gosec // bounded above
	}
	return value, nil
}
