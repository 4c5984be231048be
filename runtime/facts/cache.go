package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

const (
	cacheFile = "kvm.json"
	cacheLock = "kvm.lock"
)

// identity is what a verdict holds for. It changes with each boot, with the
// kernel (kexec keeps no boot id, but a checkpointed machine may), and when
// the module or the device is replaced.
type identity struct {
	BootID string `json:"boot_id"`
	Kernel string `json:"kernel"`
	Probe  string `json:"probe,omitempty"`  // what measures, and by which limits
	Device string `json:"device,omitempty"` // device number, inode and times of /dev/kvm
}

func identify(device string) (identity, error) {
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		return identity{}, err
	}
	id, err := identifyBoot()
	id.Probe = fmt.Sprintf("%d instructions, %d a second", instructions, minimumRate)
	id.Device = fmt.Sprintf("%d:%d inode %d on %d changed %d modified %d",
		unix.Major(st.Rdev), unix.Minor(st.Rdev), st.Ino, st.Dev, st.Ctim.Nano(), st.Mtim.Nano())
	return id, err
}

// identifyBoot says since when the host's kernel has been running.
func identifyBoot() (identity, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return identity{}, err
	}
	release, err := kernelRelease()
	if err != nil {
		return identity{}, err
	}
	return identity{BootID: strings.TrimSpace(string(boot)), Kernel: release}, nil
}

// entry is the cache file.
type entry struct {
	For     identity `json:"for"`
	Verdict Verdict  `json:"verdict"`
}

// cached returns the verdict that dir holds for key, or measures and keeps it.
// Of several processes at once one measures, so that they do not slow each
// other. The cache is an optimisation: where it cannot be used, that is logged
// and the measured verdict is right all the same.
func cached(dir string, key identity, measure func() (Verdict, bool)) Verdict {
	if v, ok := load(dir, key); ok {
		return v
	}
	unlock, err := lock(dir)
	if err != nil {
		slog.Warn("the KVM verdict cannot be kept", "error", err)
		v, _ := measure()
		return v
	}
	defer unlock()
	if v, ok := load(dir, key); ok {
		return v
	}
	v, keep := measure()
	if !keep {
		return v
	}
	data, err := json.MarshalIndent(entry{For: key, Verdict: v}, "", "  ")
	if err == nil {
		err = renameio.WriteFile(filepath.Join(dir, cacheFile), append(data, '\n'), 0o644)
	}
	if err != nil {
		slog.Warn("the KVM verdict cannot be kept", "error", err)
	}
	return v
}

func load(dir string, key identity) (Verdict, bool) {
	file := filepath.Join(dir, cacheFile)
	data, err := os.ReadFile(file)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			slog.Warn("the kept KVM verdict is measured anew", "error", err)
		}
		return Verdict{}, false
	}
	var e entry
	if err := json.Unmarshal(data, &e); err != nil {
		slog.Warn("the kept KVM verdict is damaged and measured anew", "file", file, "error", err)
		return Verdict{}, false
	}
	return e.Verdict, e.For == key && e.Verdict.KVM.Reason != ""
}

// lock serialises the processes that measure. The kernel releases the lock of
// one that dies.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, cacheLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// RemoveCache removes what the probe keeps in dir.
func RemoveCache(dir string) error {
	for _, name := range []string{cacheFile, cacheLock, networkFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
