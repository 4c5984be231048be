package rootfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// diskWait is how long a disk may take to appear after its driver has been
// loaded.
const diskWait = 10 * time.Second

// findDisk returns the device node of the disk with that serial number.
func findDisk(serial string) (string, error) {
	const dir = "/sys/block"
	for deadline := time.Now().Add(diskWait); ; time.Sleep(time.Millisecond) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			text, err := os.ReadFile(filepath.Join(dir, e.Name(), "serial"))
			if err == nil && strings.TrimSpace(string(text)) == serial {
				return "/dev/" + e.Name(), nil
			}
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no disk with the serial number %q appeared within %s", serial, diskWait)
		}
	}
}
