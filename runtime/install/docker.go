package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/runtime/install/dockerconf"
)

// RuntimeName is the name by which Docker knows the runtime.
const RuntimeName = "runcvm"

// backupSuffix is added to the name of daemon.json for a copy of what it was
// before the runtime was registered.
const backupSuffix = ".runcvm-backup"

// config returns the path of daemon.json, with links followed; present is false
// when the host has no Docker and no path was asked for.
func (d *Docker) config() (path string, present bool, err error) {
	path = d.Config
	if path == "" {
		path = DefaultDockerConfig
		_, lookErr := exec.LookPath("dockerd")
		_, statErr := os.Stat(filepath.Dir(path))
		if lookErr != nil && statErr != nil {
			return path, false, nil
		}
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, true, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	return path, true, nil
}

// check finds a configuration that cannot be edited before anything is
// installed.
func (d *Docker) check() error {
	if d.Skip {
		return nil
	}
	path, present, err := d.config()
	if err != nil || !present {
		return err
	}
	data, err := readOptional(path)
	if err != nil {
		return err
	}
	_, err = dockerconf.Add(data, RuntimeName, "/")
	return configError(path, err)
}

func configError(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("invalid Docker configuration %s, nothing was changed: %w; mend it, or install without registering the runtime", path, err)
}

// readOptional returns nil for a file that does not exist.
func readOptional(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// register adds the runtime to daemon.json and tells dockerd.
func (o *Options) register(p *printer) error {
	if o.Docker.Skip {
		return nil
	}
	path, present, err := o.Docker.config()
	if err != nil {
		return err
	}
	if !present {
		p.printf("Docker is not on this host: the runtime is not registered; after installing Docker, run this again")
		return nil
	}
	program := filepath.Join(o.Prefix, ProgramPath)
	before, err := readOptional(path)
	if err != nil {
		return err
	}
	after, err := dockerconf.Add(before, RuntimeName, program)
	if err != nil {
		return configError(path, err)
	}
	if before != nil && bytes.Equal(before, after) {
		p.printf("The runtime %s is registered in %s", RuntimeName, path)
		return o.recordDocker(dockerRecord{Config: path})
	}
	if err := o.writeConfig(path, before, after); err != nil {
		return err
	}
	p.printf("Registered the runtime %s in %s", RuntimeName, path)
	_, err = reload(p, o.Docker.PIDFile)
	return err
}

func (o *Options) writeConfig(path string, before, after []byte) error {
	r := dockerRecord{Config: path, Created: before == nil}
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		r.CreatedDir = true
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if before != nil {
		if err := replaceLike(path, path+backupSuffix, before); err != nil {
			return err
		}
	}
	// The record first: an interruption between the two leaves a registration
	// that an uninstallation looks for and does not find.
	if err := o.recordDocker(r); err != nil {
		return err
	}
	return replaceLike(path, path, after)
}

// recordDocker keeps what was done to a daemon.json. What is known from earlier
// stays true: a file that was ours may have been emptied or removed since.
func (o *Options) recordDocker(d dockerRecord) error {
	r, err := readRecord(o.Prefix)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(r.Docker, func(known dockerRecord) bool { return known.Config == d.Config })
	if i < 0 {
		r.Docker = append(r.Docker, d)
		return writeRecord(o.Prefix, r)
	}
	d.Created = d.Created || r.Docker[i].Created
	d.CreatedDir = d.CreatedDir || r.Docker[i].CreatedDir
	if r.Docker[i] == d {
		return nil
	}
	r.Docker[i] = d
	return writeRecord(o.Prefix, r)
}

// replaceLike writes a file atomically with the mode and the owner of another.
func replaceLike(model, name string, data []byte) error {
	mode, uid, gid := fs.FileMode(0o644), os.Geteuid(), os.Getegid()
	if st, err := os.Stat(model); err == nil {
		mode = st.Mode().Perm()
		if sys, ok := st.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(sys.Uid), int(sys.Gid)
		}
	}
	f, err := renameio.NewPendingFile(name, renameio.WithStaticPermissions(mode))
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }() // nothing, once it has been put in place
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chown(uid, gid); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// unregister takes the runtime out of daemon.json. Where nobody else has changed
// the file, it becomes what it was, byte for byte.
func unregister(p *printer, d dockerRecord, prefix, pidFile string) error {
	path := d.Config
	data, err := readOptional(path)
	if err != nil || data == nil {
		return err
	}
	program := filepath.Join(prefix, ProgramPath)
	if dockerconf.Path(data, RuntimeName) != program {
		return nil
	}
	if dockerconf.DefaultRuntime(data) == RuntimeName {
		return fmt.Errorf("%s names %s as \"default-runtime\", without which dockerd would not start: set another one, then uninstall", path, RuntimeName)
	}
	after, err := dockerconf.Remove(data, RuntimeName, program)
	if err != nil {
		return configError(path, err)
	}
	backup, err := os.ReadFile(path + backupSuffix)
	// An entry in the backup is that of an installation which this one replaced.
	if err == nil && dockerconf.Path(backup, RuntimeName) == "" {
		if again, err := dockerconf.Add(backup, RuntimeName, program); err == nil && bytes.Equal(again, data) {
			after = backup
		}
	}
	if d.Created && dockerconf.IsEmpty(after) {
		err = os.Remove(path)
	} else {
		err = replaceLike(path, path, after)
	}
	if err != nil {
		return err
	}
	if err := os.Remove(path + backupSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if d.CreatedDir {
		_ = os.Remove(filepath.Dir(path)) // fails when others use it
	}
	p.printf("Removed the runtime %s from %s", RuntimeName, path)
	told, err := reload(p, pidFile)
	if told {
		// It takes new runtimes from a configuration, but an empty list for none.
		p.printf("It may list the runtime %s until it is restarted", RuntimeName)
	}
	return err
}

// reload makes a running dockerd read its configuration; told is false when
// none runs.
func reload(p *printer, pidFile string) (told bool, err error) {
	data, err := readOptional(pidFile)
	if err != nil || data == nil {
		return false, err // no pid file: dockerd reads the configuration when it starts
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 1 {
		return false, fmt.Errorf("%s does not hold a process's number: dockerd has not been told to read its configuration; send it SIGHUP", pidFile)
	}
	// The file may be left over, and the number be another process's by now.
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(comm)) != "dockerd" {
		return false, nil
	}
	if err := unix.Kill(pid, unix.SIGHUP); err != nil {
		return false, fmt.Errorf("tell dockerd (process %d) to read its configuration: %w", pid, err)
	}
	p.printf("Told dockerd (process %d) to read its configuration", pid)
	return true, nil
}
