package kernels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The setup header of a bzImage, from the kernel's
// Documentation/arch/x86/boot.rst.
const (
	offSetupSects    = 0x1f1
	offMagic         = 0x202 // "HdrS"
	offVersion       = 0x206
	offPayloadOffset = 0x248 // from the protected-mode code, in bytes
	offPayloadLength = 0x24c
	headerSize       = 0x250

	minVersion        = 0x0208 // the first with a payload
	defaultSetupSects = 4      // what 0 stands for
	sectorSize        = 512
)

// maxVmlinux bounds an extracted image in bytes: three times the largest of
// Debian's.
const maxVmlinux = 256 << 20

// ErrNotBzImage is what an error wraps when a file is not an x86 kernel image.
var ErrNotBzImage = errors.New("not an x86 kernel image (bzImage)")

// ExtractVmlinux writes the ELF image within the bzImage of size bytes to w.
// Malformed input gives an error, and at most 256 MiB are written.
func ExtractVmlinux(w io.Writer, image io.ReaderAt, size int64) error {
	payload, err := findPayload(image, size)
	if err != nil {
		return err
	}
	head := make([]byte, 6)
	if _, err := payload.ReadAt(head, 0); err != nil {
		return fmt.Errorf("read the payload: %w", err)
	}
	want := int64(-1)
	if !bytes.HasPrefix(head, magicELF) {
		if want, payload, err = payloadSize(head, payload); err != nil {
			return err
		}
	}
	r, done, err := decompressor(head, payload)
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	defer done()
	return copyELF(w, r, want)
}

// findPayload returns the compressed image that the setup header points at.
func findPayload(image io.ReaderAt, size int64) (*io.SectionReader, error) {
	var h [headerSize]byte
	if size < headerSize {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrNotBzImage, size)
	}
	if _, err := image.ReadAt(h[:], 0); err != nil {
		return nil, fmt.Errorf("read the setup header: %w", err)
	}
	if string(h[offMagic:offMagic+4]) != "HdrS" {
		return nil, fmt.Errorf("%w: the setup header is missing", ErrNotBzImage)
	}
	if v := binary.LittleEndian.Uint16(h[offVersion:]); v < minVersion {
		return nil, fmt.Errorf("%w: boot protocol %d.%02d tells no payload", ErrNotBzImage, v>>8, v&0xff)
	}
	sects := int64(h[offSetupSects])
	if sects == 0 {
		sects = defaultSetupSects
	}
	start := (sects+1)*sectorSize + int64(binary.LittleEndian.Uint32(h[offPayloadOffset:]))
	length := int64(binary.LittleEndian.Uint32(h[offPayloadLength:]))
	if length < 16 || start+length > size {
		return nil, fmt.Errorf("%w: the payload (%d bytes at %d) is not within the file's %d bytes", ErrNotBzImage, length, start, size)
	}
	return io.NewSectionReader(image, start, length), nil
}

// payloadSize reads the size of the image, which is the payload's last four
// bytes, and returns the payload as its decompressor wants it. For gzip those
// bytes are the format's own trailer; for the others the kernel's build
// appends them.
func payloadSize(head []byte, payload *io.SectionReader) (int64, *io.SectionReader, error) {
	var tail [4]byte
	end := payload.Size() - int64(len(tail))
	if _, err := payload.ReadAt(tail[:], end); err != nil {
		return 0, nil, fmt.Errorf("read the payload's end: %w", err)
	}
	size := int64(binary.LittleEndian.Uint32(tail[:]))
	if size > maxVmlinux {
		return 0, nil, fmt.Errorf("the payload claims an image of %d bytes, more than the limit of %d", size, maxVmlinux)
	}
	if !bytes.HasPrefix(head, magicGzip) {
		payload = io.NewSectionReader(payload, 0, end)
	}
	return size, payload, nil
}

// copyELF copies an ELF image of want bytes; -1 stands for any number.
func copyELF(w io.Writer, r io.Reader, want int64) error {
	head := make([]byte, len(magicELF))
	if _, err := io.ReadFull(r, head); err != nil {
		return fmt.Errorf("decompress the payload: %w", err)
	}
	if !bytes.Equal(head, magicELF) {
		return fmt.Errorf("the payload begins with % x: it is not an ELF image", head)
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	limit := want
	if want < 0 {
		limit = maxVmlinux
	}
	n, err := io.Copy(w, io.LimitReader(r, limit-int64(len(head))+1))
	if err != nil {
		return fmt.Errorf("decompress the payload: %w", err)
	}
	n += int64(len(head))
	if n > limit || want >= 0 && n != want {
		return fmt.Errorf("the payload holds %d bytes or more, but tells of %d", n, limit)
	}
	return nil
}
