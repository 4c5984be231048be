package kernels

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/therootcompany/xz"
)

// ErrCompression is what an error wraps when data is compressed in a way that
// this package does not read.
var ErrCompression = errors.New("unsupported compression")

// maxWindow bounds the decoders' memory in bytes. The largest in use is the
// 128 MiB window of zstd -22, with which kernels are compressed.
const maxWindow = 128 << 20

// Magic numbers of compressed data.
var (
	magicELF  = []byte("\x7fELF")
	magicGzip = []byte("\x1f\x8b")
	magicXZ   = []byte("\xfd7zXZ\x00")
	magicZstd = []byte("\x28\xb5\x2f\xfd")
	magicLZ4  = []byte("\x02\x21\x4c\x18") // the legacy frame, the kernel's
)

// decompressor returns a reader of what r holds, which begins with head. The
// caller calls the function when done. xz is read by a port of XZ Embedded,
// since kernels use its x86 filter, which ulikunitz/xz does not have.
func decompressor(head []byte, r io.Reader) (io.Reader, func(), error) {
	done := func() {}
	switch {
	case bytes.HasPrefix(head, magicELF):
		return r, done, nil
	case bytes.HasPrefix(head, magicGzip):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return z, done, nil
	case bytes.HasPrefix(head, magicXZ):
		z, err := xz.NewReader(r, maxWindow)
		if err != nil {
			return nil, nil, err
		}
		return z, done, nil
	case bytes.HasPrefix(head, magicZstd):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case bytes.HasPrefix(head, magicLZ4):
		return lz4.NewReader(r), done, nil
	}
	return nil, nil, fmt.Errorf("%w: the data begins with % x, which is none of gzip, xz, zstd and lz4", ErrCompression, head)
}
