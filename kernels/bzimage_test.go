package kernels

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExtractVmlinux(t *testing.T) {
	elfImage := fakeELF(strings.Repeat("a kernel's code ", 1<<16))
	size := len(elfImage)
	for name, payload := range map[string][]byte{
		"gzip":         compressGzip(t, elfImage),
		"xz":           withSize(compressXZ(t, elfImage), size),
		"zstd":         withSize(compressZstd(t, elfImage), size),
		"lz4":          withSize(compressLZ4(t, elfImage), size),
		"uncompressed": elfImage,
	} {
		t.Run(name, func(t *testing.T) {
			image := bzImage(payload)
			var got bytes.Buffer
			if err := ExtractVmlinux(&got, bytes.NewReader(image), int64(len(image))); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), elfImage) {
				t.Errorf("got %d bytes, which are not the %d that were packed", got.Len(), size)
			}
		})
	}
}

func TestExtractVmlinuxHostile(t *testing.T) {
	good := bzImage(compressGzip(t, fakeELF("kernel")))
	patch := func(offset int, value ...byte) []byte {
		image := bytes.Clone(good)
		copy(image[offset:], value)
		return image
	}
	bomb := make([]byte, 8<<20)
	copy(bomb, magicELF)
	tests := []struct {
		name  string
		image []byte
		is    error
		says  string
	}{
		{"empty", nil, ErrNotBzImage, "0 bytes"},
		{"short", good[:headerSize-1], ErrNotBzImage, ""},
		{"text", bytes.Repeat([]byte("text"), 1<<10), ErrNotBzImage, "setup header"},
		{"old protocol", patch(offVersion, 0x07, 0x02), ErrNotBzImage, "2.07"},
		{"payload beyond the end", patch(offPayloadLength, 0xff, 0xff, 0xff, 0xff), ErrNotBzImage, "not within"},
		{"payload starts beyond the end", patch(offPayloadOffset, 0xff, 0xff, 0xff, 0xff), ErrNotBzImage, "not within"},
		{"empty payload", patch(offPayloadLength, 0, 0, 0, 0), ErrNotBzImage, "0 bytes"},
		{"setup_sects too large", patch(offSetupSects, 0xff), ErrNotBzImage, "not within"},
		{"unknown compression", bzImage(withSize([]byte("BZh91AY&SY and more of it"), 1<<20)), ErrCompression, "42 5a 68"},
		{"claims 4 GiB", bzImage(withSize(compressZstd(t, bomb), 0xffffffff)), nil, "limit"},
		{"holds more than it tells", bzImage(withSize(compressXZ(t, bomb), 4096)), nil, "tells of 4096"},
		{"holds less than it tells", bzImage(withSize(compressLZ4(t, fakeELF("x")), 1<<20)), nil, "tells of 1048576"},
		{"not an ELF", bzImage(withSize(compressZstd(t, []byte("#!/bin/sh")), 9)), nil, "not an ELF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got bytes.Buffer
			err := ExtractVmlinux(&got, bytes.NewReader(tt.image), int64(len(tt.image)))
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that is %v and says %q", err, tt.is, tt.says)
			}
			if got.Len() > 1<<20 {
				t.Errorf("%d bytes were written", got.Len())
			}
		})
	}
}

// Every truncation is an error, in every format.
func TestExtractVmlinuxTruncated(t *testing.T) {
	elfImage := fakeELF(strings.Repeat("code", 1000))
	for name, payload := range map[string][]byte{
		"gzip": compressGzip(t, elfImage),
		"xz":   withSize(compressXZ(t, elfImage), len(elfImage)),
		"zstd": withSize(compressZstd(t, elfImage), len(elfImage)),
		"lz4":  withSize(compressLZ4(t, elfImage), len(elfImage)),
	} {
		t.Run(name, func(t *testing.T) {
			for n := range len(payload) {
				// The file as cut, and one whose header knows of the cut.
				whole := bzImage(payload)
				for _, image := range [][]byte{whole[:len(whole)-len(payload)+n], bzImage(payload[:n])} {
					if err := ExtractVmlinux(&bytes.Buffer{}, bytes.NewReader(image), int64(len(image))); err == nil {
						t.Fatalf("a payload cut to %d of %d bytes gives no error", n, len(payload))
					}
				}
			}
		})
	}
}

func FuzzExtractVmlinux(f *testing.F) {
	elfImage := fakeELF("kernel")
	for _, payload := range [][]byte{
		compressGzip(f, elfImage),
		withSize(compressXZ(f, elfImage), len(elfImage)),
		withSize(compressZstd(f, elfImage), len(elfImage)),
		withSize(compressLZ4(f, elfImage), len(elfImage)),
	} {
		f.Add(payload, uint8(3), uint32(64), uint32(len(payload)))
	}
	f.Fuzz(func(t *testing.T, payload []byte, sects uint8, offset, length uint32) {
		image := bzImage(payload)
		image[offSetupSects] = sects
		binary.LittleEndian.PutUint32(image[offPayloadOffset:], offset)
		binary.LittleEndian.PutUint32(image[offPayloadLength:], length)
		var got countingWriter
		err := ExtractVmlinux(&got, bytes.NewReader(image), int64(len(image)))
		if err == nil && got < 4 || got > maxVmlinux+1 {
			t.Errorf("%d bytes with error %v", got, err)
		}
	})
}

type countingWriter int64

func (c *countingWriter) Write(p []byte) (int, error) {
	*c += countingWriter(len(p))
	return len(p), nil
}

// Kernels of distributions: what this machine has.
func TestExtractVmlinuxReal(t *testing.T) {
	var images []string
	for _, pattern := range []string{"/boot/vmlinuz-*", "/var/cache/runcvm/*/kernel/boot/vmlinuz-*"} {
		found, _ := filepath.Glob(pattern)
		images = append(images, found...)
	}
	if len(images) == 0 {
		t.Skip("requires a kernel package, installed or in the cache of runcvm install")
	}
	for _, name := range images {
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := os.Open(name)
			if err != nil {
				t.Skip(err)
			}
			defer f.Close()
			st, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := ExtractVmlinux(&got, f, st.Size()); err != nil {
				t.Fatal(err)
			}
			e, err := elf.NewFile(bytes.NewReader(got.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if e.Machine != elf.EM_X86_64 {
				t.Errorf("the image is for %v", e.Machine)
			}
		})
	}
}
