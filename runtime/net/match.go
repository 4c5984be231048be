package net

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

// Offsets in an Ethernet frame.
const (
	offEtherType = 12
	offIP        = 14
)

// wholeFrame is what a classic BPF program returns to keep all of a frame.
const wholeFrame = 1<<32 - 1

// check is one condition on a frame: the size bytes at off, masked (0 is no
// mask), lie between low and high.
type check struct {
	off, size uint32
	mask      uint32
	low, high uint32
}

func equals(off, size, value uint32) check {
	return check{off: off, size: size, low: value, high: value}
}

func between(off, size, low, high uint32) check {
	return check{off: off, size: size, low: low, high: high}
}

// frameKind is a set of frames: those that meet each of the conditions.
type frameKind []check

// keptKinds are the frames to the kept ports: those that tc's filters match as
// well, see containerFilters, and for the same reasons no fragments and no
// packets with options or extension headers.
func keptKinds(kept []plan.PortRange) ([]frameKind, error) {
	var kinds []frameKind
	ip4 := []check{equals(offEtherType, 2, unix.ETH_P_IP), equals(offIP, 1, 0x45)}
	ip6 := []check{equals(offEtherType, 2, unix.ETH_P_IPV6)}
	for _, k := range kept {
		protocol, err := protocolNumber(k.Protocol)
		if err != nil {
			return nil, err
		}
		first, last := uint32(k.First), uint32(k.Last)
		if first == 0 || last < first {
			return nil, fmt.Errorf("the ports %d-%d are none, or include port 0", first, last)
		}
		unfragmented := check{off: offIP + 6, size: 2, mask: 0x3fff}
		kinds = append(
			kinds,
			kind(ip4, unfragmented, equals(offIP+9, 1, protocol), between(offIP+22, 2, first, last)),
			kind(ip6, equals(offIP+6, 1, protocol), between(offIP+42, 2, first, last)),
			// ICMP errors about packets of the container's stack, with those in them.
			kind(ip4, equals(offIP+9, 1, unix.IPPROTO_ICMP), equals(offIP+20, 1, 3), equals(offIP+28, 1, 0x45),
				equals(offIP+37, 1, protocol), between(offIP+48, 2, first, last)),
			kind(ip6, equals(offIP+6, 1, unix.IPPROTO_ICMPV6), between(offIP+40, 1, 1, 3),
				equals(offIP+54, 1, protocol), between(offIP+88, 2, first, last)),
		)
	}
	return kinds, nil
}

func kind(checks []check, more ...check) frameKind {
	return append(append(frameKind{}, checks...), more...)
}

// sharedKinds are the frames that both the guest and the container's own stack
// need to find their neighbours.
func sharedKinds() []frameKind {
	return []frameKind{
		{equals(offEtherType, 2, unix.ETH_P_ARP)},
		// Neighbour discovery (RFC 4861).
		{equals(offEtherType, 2, unix.ETH_P_IPV6), equals(offIP+6, 1, unix.IPPROTO_ICMPV6), equals(offIP+7, 1, 255), between(offIP+40, 1, 133, 137)},
	}
}

// program is a classic BPF program that returns matched for a frame of one of
// the kinds and other for the rest.
func program(kinds []frameKind, matched, other uint32) ([]unix.SockFilter, error) {
	var code []bpf.Instruction
	for _, k := range kinds {
		// A condition that does not hold leads behind the return at the end.
		length := 1
		for _, c := range k {
			length += c.length()
		}
		left := length
		for _, c := range k {
			left -= c.length()
			code = append(code, c.instructions(uint8(left))...)
		}
		code = append(code, bpf.RetConstant{Val: matched})
	}
	code = append(code, bpf.RetConstant{Val: other})
	raw, err := bpf.Assemble(code)
	if err != nil {
		return nil, fmt.Errorf("assemble the filter of %d kinds of frames: %w", len(kinds), err)
	}
	out := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		out[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return out, nil
}

func (c check) length() int { return len(c.instructions(0)) }

// instructions leave skip instructions out behind them when the condition does
// not hold.
func (c check) instructions(skip uint8) []bpf.Instruction {
	code := []bpf.Instruction{bpf.LoadAbsolute{Off: c.off, Size: int(c.size)}}
	if c.mask != 0 {
		code = append(code, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: c.mask})
	}
	if c.low == c.high {
		return append(code, bpf.JumpIf{Cond: bpf.JumpEqual, Val: c.low, SkipFalse: skip})
	}
	return append(
		code,
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: c.low, SkipFalse: skip + 1},
		bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: c.high, SkipFalse: skip},
	)
}
