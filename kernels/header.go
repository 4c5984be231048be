package kernels

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// More of the setup header; see bzimage.go.
const (
	offKernelVersion = 0x20e // of a string, from 0x200
	offLoadFlags     = 0x236 // from protocol 2.12 on
	loadFlag64       = 1     // XLF_KERNEL_64

	protocolLoadFlags = 0x020c
	maxReleaseText    = 256
)

// maxImage bounds a kernel image in bytes: several times the largest of any
// distribution.
const maxImage = 128 << 20

// ArchitectureError says that a kernel is for other processors.
type ArchitectureError struct{ Architecture string }

func (e *ArchitectureError) Error() string {
	return fmt.Sprintf("the kernel is for %s; machines are x86-64", e.Architecture)
}

// headSize is how many bytes of an image tell what it is.
const headSize = 4096

// ReadRelease returns the release ("uname -r") of the bzImage of size bytes. An
// image for other processors gives an ArchitectureError; one that is cut short
// or is something else, ErrNotBzImage.
func ReadRelease(image io.ReaderAt, size int64) (string, error) {
	head := make([]byte, min(size, headSize))
	if _, err := image.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the kernel: %w", err)
	}
	if arch := otherArchitecture(head); arch != "" {
		return "", &ArchitectureError{arch}
	}
	if _, err := findPayload(image, size); err != nil {
		return "", err
	}
	protocol := binary.LittleEndian.Uint16(head[offVersion:])
	if protocol < protocolLoadFlags || binary.LittleEndian.Uint16(head[offLoadFlags:])&loadFlag64 == 0 {
		return "", &ArchitectureError{"32-bit x86"}
	}
	text := make([]byte, maxReleaseText)
	at := int64(binary.LittleEndian.Uint16(head[offKernelVersion:])) + 0x200
	n, err := image.ReadAt(text, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the kernel's release: %w", err)
	}
	words, _, _ := bytes.Cut(text[:n], []byte{0})
	release, _, _ := strings.Cut(string(words), " ")
	if !ValidRelease(release) {
		return "", fmt.Errorf("%w: it tells no release", ErrNotBzImage)
	}
	return release, nil
}

// ValidRelease reports whether a name can be a kernel's release, and so the
// name of a folder.
func ValidRelease(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '.' || s == latest || strings.Contains(s, "..") {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_~") == ""
}

// ValidDistribution reports whether a name can be a distribution's, and so the
// name of a folder.
func ValidDistribution(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && s[0] != '-'
}

// otherArchitecture names what a kernel image is for, when that is not x86.
// The places are those of the kernel's Documentation/arch/*/boot*.
func otherArchitecture(head []byte) string {
	at := func(offset int, magic string) bool {
		return len(head) >= offset+len(magic) && string(head[offset:offset+len(magic)]) == magic
	}
	switch {
	case at(offMagic, "HdrS"):
		return ""
	case at(0x38, "ARM\x64"):
		return "64-bit ARM"
	case at(0x30, "RISCV"), at(0x38, "RSC\x05"):
		return "RISC-V"
	case at(0x24, "\x18\x28\x6f\x01"):
		return "32-bit ARM"
	case at(0, "\x7fELF") && len(head) >= 20:
		return elfMachine(binary.LittleEndian.Uint16(head[18:]))
	case at(0, "MZ") && len(head) >= 0x40:
		return peMachine(head)
	}
	return ""
}

func elfMachine(machine uint16) string {
	if m := elf.Machine(machine); m != elf.EM_X86_64 {
		return m.String()
	}
	return ""
}

// peMachine reads the machine of an EFI program, as which kernels are made.
func peMachine(head []byte) string {
	at := int(binary.LittleEndian.Uint32(head[0x3c:]))
	if at < 0 || at+6 > len(head) || string(head[at:at+4]) != "PE\x00\x00" {
		return ""
	}
	switch m := binary.LittleEndian.Uint16(head[at+4:]); m {
	case 0x8664:
		return ""
	case 0x14c:
		return "32-bit x86"
	case 0xaa64:
		return "64-bit ARM"
	case 0x1c2:
		return "32-bit ARM"
	case 0x5064:
		return "64-bit RISC-V"
	case 0x6264:
		return "64-bit LoongArch"
	default:
		return fmt.Sprintf("a machine of the type %#x", m)
	}
}

// hasEFIStub reports whether an image, of which head is the beginning, is an EFI
// program too (CONFIG_EFI_STUB).
func hasEFIStub(head []byte) bool {
	if len(head) < 0x40 || string(head[:2]) != "MZ" {
		return false
	}
	at := int(binary.LittleEndian.Uint32(head[0x3c:]))
	return at >= 0 && at+6 <= len(head) && string(head[at:at+4]) == "PE\x00\x00" && peMachine(head) == ""
}

// notePVH is the type of the note XEN_ELFNOTE_PHYS32_ENTRY of the name "Xen",
// from the kernel's include/xen/interface/elfnote.h.
const notePVH = 18

// HasPVH reports whether an ELF image can be entered directly: QEMU refuses one
// without the note.
func HasPVH(image io.ReaderAt) (bool, error) {
	f, err := elf.NewFile(image)
	if err != nil {
		return false, err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > 1<<20 {
			continue
		}
		notes := make([]byte, p.Filesz)
		if _, err := p.ReadAt(notes, 0); err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if findNote(notes, f.ByteOrder, "Xen\x00", notePVH) {
			return true, nil
		}
	}
	return false, nil
}

// findNote looks for a note, of which each has the sizes of its name and of its
// content, its type, and both, padded to four bytes.
func findNote(notes []byte, order binary.ByteOrder, name string, kind uint32) bool {
	for len(notes) >= 12 {
		nameSize, size := uint64(order.Uint32(notes)), uint64(order.Uint32(notes[4:]))
		end := 12 + padded(nameSize) + padded(size)
		if end > uint64(len(notes)) {
			return false
		}
		if order.Uint32(notes[8:]) == kind && string(notes[12:12+nameSize]) == name {
			return true
		}
		notes = notes[end:]
	}
	return false
}

func padded(n uint64) uint64 { return (n + 3) &^ 3 }
