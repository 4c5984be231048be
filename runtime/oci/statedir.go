package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// StateDir is the folder of container id's state: RunDir, "state", a digest of
// runc's root, the id.
func (r *Runtime) StateDir(id string) string {
	sum := sha256.Sum256([]byte(r.Root))
	return filepath.Join(r.RunDir, "state", hex.EncodeToString(sum[:4]), id)
}

// makeStateDir makes dir, a container's state folder, anew, and those above it.
func makeStateDir(dir string) error {
	root := filepath.Dir(dir)
	if err := os.MkdirAll(filepath.Dir(root), 0o700); err != nil {
		return err
	}
	unlock, err := lockDir(filepath.Dir(root))
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}

// removeState removes the container's state folder, and the folder of its
// root when that was the last one.
func (r *Runtime) removeState(id string) error {
	dir := r.StateDir(id)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the container's state: %w", err)
	}
	root := filepath.Dir(dir)
	unlock, err := lockDir(filepath.Dir(root))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("remove the container's state: %w", err)
	}
	defer unlock()
	_ = os.Remove(root) // fails while there are others
	return nil
}

// lockDir keeps other processes from making and removing what is in dir, as
// long as they ask here: the folder of a root goes with its last container,
// while another one may be about to be made in it.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}
