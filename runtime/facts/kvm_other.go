//go:build !amd64

package facts

import (
	"errors"
	"fmt"
	"runtime"
)

// measureLoop exists for x86-64 alone.
func measureLoop(int) (measurement, error) {
	return measurement{}, fmt.Errorf("measuring KVM on %s: %w", runtime.GOARCH, errors.ErrUnsupported)
}

// askFeatures exists for x86-64 alone.
func askFeatures(int) error {
	return fmt.Errorf("vhost on %s: %w", runtime.GOARCH, errors.ErrUnsupported)
}
