package facts

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests and layouts of KVM's interface for x86, from the kernel's
// include/uapi/linux/kvm.h and arch/x86/include/uapi/asm/kvm.h.
const (
	kvmGetAPIVersion       = 0xae00
	kvmCreateVM            = 0xae01
	kvmGetVCPUMmapSize     = 0xae04
	kvmCreateVCPU          = 0xae41
	kvmSetUserMemoryRegion = 0x4020ae46
	kvmRun                 = 0xae80
	kvmSetRegs             = 0x4090ae82
	kvmGetSregs            = 0x8138ae83
	kvmSetSregs            = 0x4138ae84
	kvmGetTSCKHz           = 0xaea3

	kvmAPIVersion = 12

	kvmRunImmediateExit = 1 // offset of a byte
	kvmRunExitReason    = 8 // offset of a uint32

	kvmExitHLT  = 5
	kvmExitIntr = 10
)

type kvmUserspaceMemoryRegion struct {
	slot, flags                        uint32
	guestPhysAddr, memorySize, address uint64
}

type kvmRegs struct {
	rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp uint64
	r8, r9, r10, r11, r12, r13, r14, r15   uint64
	rip, rflags                            uint64
}

type kvmSegment struct {
	base                                uint64
	limit                               uint32
	selector                            uint16
	typ, present, dpl, db, s, l, g, avl uint8
	unusable, _                         uint8
}

type kvmTable struct {
	base  uint64
	limit uint16
	_     [3]uint16
}

type kvmSregs struct {
	cs, ds, es, fs, gs, ss, tr, ldt kvmSegment
	gdt, idt                        kvmTable
	cr0, cr2, cr3, cr4, cr8         uint64
	efer, apicBase                  uint64
	interruptBitmap                 [4]uint64
}

// The guest's memory: page tables that map the first 2 MiB to themselves, and
// the loop.
const (
	guestPML4   = 0x0000
	guestPDPT   = 0x1000
	guestPD     = 0x2000
	guestCode   = 0x3000
	guestMemory = 0x4000
)

// loopCode is: 1: inc %rax, again and again; dec %rcx; jnz 1b; hlt.
//
// A loop of branches alone would tell emulation by the instruction from
// hardware KVM, but hardly from KVM nested in TCG, where a branch is dear and
// straight code is not.
func loopCode() []byte {
	code := bytes.Repeat([]byte{0x48, 0xff, 0xc0}, loopInstructions-2)
	code = append(code, 0x48, 0xff, 0xc9, 0x0f, 0x85)
	code = binary.LittleEndian.AppendUint32(code, uint32(-(len(code) + 4)))
	return append(code, 0xf4)
}

func ioctl(fd int, request, argument uintptr) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, argument)
		if errno == unix.EINTR && request != kvmRun {
			continue
		}
		if errno != 0 {
			return -1, errno
		}
		return int(r), nil
	}
}

// vcpu is a VM of one virtual CPU in long mode that can do nothing but the loop.
type vcpu struct {
	vm, fd      int
	memory, run []byte
}

func (c *vcpu) close() {
	for _, m := range [][]byte{c.run, c.memory} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	for _, fd := range []int{c.fd, c.vm} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

func newVCPU(kvm int) (_ *vcpu, err error) {
	c := &vcpu{vm: -1, fd: -1}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	version, err := ioctl(kvm, kvmGetAPIVersion, 0)
	if err != nil {
		return nil, fmt.Errorf("KVM_GET_API_VERSION: %w", err)
	}
	if version != kvmAPIVersion {
		return nil, fmt.Errorf("KVM's interface has the version %d instead of %d", version, kvmAPIVersion)
	}
	if c.vm, err = ioctl(kvm, kvmCreateVM, 0); err != nil {
		return nil, fmt.Errorf("KVM_CREATE_VM: %w", err)
	}
	if err = c.createMemory(); err != nil {
		return nil, err
	}
	if c.fd, err = ioctl(c.vm, kvmCreateVCPU, 0); err != nil {
		return nil, fmt.Errorf("KVM_CREATE_VCPU: %w", err)
	}
	size, err := ioctl(kvm, kvmGetVCPUMmapSize, 0)
	if err != nil {
		return nil, fmt.Errorf("KVM_GET_VCPU_MMAP_SIZE: %w", err)
	}
	if c.run, err = unix.Mmap(c.fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("map the virtual CPU's state: %w", err)
	}
	if err = c.enterLongMode(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *vcpu) createMemory() (err error) {
	c.memory, err = unix.Mmap(-1, 0, guestMemory, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("map the guest's memory: %w", err)
	}
	const presentWritable, large = 0x3, 0x80
	binary.LittleEndian.PutUint64(c.memory[guestPML4:], guestPDPT|presentWritable)
	binary.LittleEndian.PutUint64(c.memory[guestPDPT:], guestPD|presentWritable)
	binary.LittleEndian.PutUint64(c.memory[guestPD:], large|presentWritable)
	copy(c.memory[guestCode:], loopCode())
	region := kvmUserspaceMemoryRegion{memorySize: guestMemory, address: uint64(uintptr(unsafe.Pointer(&c.memory[0])))}
	if _, err := ioctl(c.vm, kvmSetUserMemoryRegion, uintptr(unsafe.Pointer(&region))); err != nil {
		return fmt.Errorf("KVM_SET_USER_MEMORY_REGION: %w", err)
	}
	return nil
}

func (c *vcpu) enterLongMode() error {
	var s kvmSregs
	if _, err := ioctl(c.fd, kvmGetSregs, uintptr(unsafe.Pointer(&s))); err != nil {
		return fmt.Errorf("KVM_GET_SREGS: %w", err)
	}
	s.cs = kvmSegment{limit: 0xffffffff, selector: 8, typ: 11, present: 1, s: 1, l: 1, g: 1}
	data := kvmSegment{limit: 0xffffffff, selector: 16, typ: 3, present: 1, s: 1, db: 1, g: 1}
	s.ds, s.es, s.fs, s.gs, s.ss = data, data, data, data, data
	s.cr3 = guestPML4
	s.cr4 |= 1 << 5           // PAE
	s.cr0 |= 1<<31 | 1<<5 | 1 // PG, NE, PE
	s.efer |= 1<<10 | 1<<8    // LMA, LME
	if _, err := ioctl(c.fd, kvmSetSregs, uintptr(unsafe.Pointer(&s))); err != nil {
		return fmt.Errorf("KVM_SET_SREGS: %w", err)
	}
	return nil
}

// errDeadline says that the watchdog ended an attempt.
var errDeadline = errors.New("deadline exceeded")

// loop runs the loop, to its end or until stopped is set.
func (c *vcpu) loop(iterations uint64, stopped *atomic.Bool) error {
	r := kvmRegs{rip: guestCode, rcx: iterations, rflags: 2}
	if _, err := ioctl(c.fd, kvmSetRegs, uintptr(unsafe.Pointer(&r))); err != nil {
		return fmt.Errorf("KVM_SET_REGS: %w", err)
	}
	for {
		_, err := ioctl(c.fd, kvmRun, 0)
		if stopped.Load() {
			return errDeadline
		}
		if errors.Is(err, unix.EINTR) {
			continue // a signal of the Go runtime
		}
		if err != nil {
			return fmt.Errorf("KVM_RUN: %w", err)
		}
		switch reason := binary.LittleEndian.Uint32(c.run[kvmRunExitReason:]); reason {
		case kvmExitHLT:
			return nil
		case kvmExitIntr:
		default:
			return fmt.Errorf("KVM_RUN ended with the exit reason %d", reason)
		}
	}
}

// watch makes KVM_RUN of the calling thread return at the deadline. The result
// ends the watch.
func (c *vcpu) watch(limit time.Duration, stopped *atomic.Bool) (end func()) {
	thread, finished, ended := unix.Gettid(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		timer := time.NewTimer(limit)
		defer timer.Stop()
		for {
			select {
			case <-finished:
				return
			case <-timer.C:
			}
			stopped.Store(true)
			// The flag is for a thread about to enter the guest, the signal for
			// one inside. SIGURG is harmless: the Go runtime preempts with it.
			c.run[kvmRunImmediateExit] = 1
			_ = unix.Tgkill(os.Getpid(), thread, unix.SIGURG)
			timer.Reset(5 * time.Millisecond)
		}
	}()
	return func() { close(finished); <-ended }
}

// measureLoop times the loop on a new virtual CPU.
func measureLoop(kvm int) (measurement, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var m measurement
	c, err := newVCPU(kvm)
	if err != nil {
		return m, err
	}
	defer c.close()
	if khz, err := ioctl(c.fd, kvmGetTSCKHz, 0); err == nil {
		m.tscKHz = khz
	}
	var stopped atomic.Bool
	defer c.watch(probeTime, &stopped)()
	for range loopAttempts {
		cpu, wall := threadTime(), time.Now()
		err := c.loop(loopIterations, &stopped)
		if errors.Is(err, errDeadline) {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		m.add(threadTime()-cpu, time.Since(wall))
		if m.done() {
			break
		}
	}
	return m, nil
}

func (m *measurement) add(cpu, wall time.Duration) {
	if m.completed == 0 || cpu < m.cpu {
		m.cpu = cpu
	}
	if m.completed == 0 || wall < m.wall {
		m.wall = wall
	}
	m.completed++
}

// askFeatures has a vhost device tell its features.
func askFeatures(fd int) error {
	var features uint64
	_, err := ioctl(fd, vhostGetFeatures, uintptr(unsafe.Pointer(&features)))
	return err
}

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(fmt.Sprintf("CLOCK_THREAD_CPUTIME_ID: %v", err)) // every Linux has it
	}
	return time.Duration(ts.Nano())
}
