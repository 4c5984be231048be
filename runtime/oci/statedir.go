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

// errExists is in runc's words.
func errExists(id string) error { return fmt.Errorf("container with id exists: %s", id) }

// claimState makes the state folder of a new container, and those above it.
// Until release is called, nobody else can make a container of that id; a
// folder that nobody has claimed and runc knows nothing of is what a crash of
// the host left, and is cleared.
func (r *Runtime) claimState(id string) (release func(), err error) {
	dir := r.StateDir(id)
	root := filepath.Dir(dir)
	if err := os.MkdirAll(filepath.Dir(root), 0o700); err != nil {
		return nil, err
	}
	unlock, err := lockDir(filepath.Dir(root), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if r.known(id) {
		return nil, errExists(id)
	}
	if stale, err := lockDir(dir, unix.LOCK_EX|unix.LOCK_NB); err == nil {
		defer stale()
		err = os.RemoveAll(dir)
		if err != nil {
			return nil, err
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, errExists(id)
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return lockDir(dir, unix.LOCK_EX|unix.LOCK_NB)
}

// removeState removes the container's state folder, and the folder of its
// root when that was the last one.
func (r *Runtime) removeState(id string) error {
	dir := r.StateDir(id)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the container's state: %w", err)
	}
	root := filepath.Dir(dir)
	unlock, err := lockDir(filepath.Dir(root), unix.LOCK_EX)
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
func lockDir(dir string, how int) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}
