package image

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// ExecError says that a process cannot be started, in runc's words, by which
// container engines choose the exit code.
type ExecError struct {
	Code    int // 127 when the program was not found, 126 when it may not be executed, else 1
	Message string
}

func (e *ExecError) Error() string { return e.Message }

// LookPath checks that the process's program is there and may be executed by
// its user. The error is an *ExecError, or tells that the tree could not be
// read. What the host cannot see is no error: the guest finds out, as it does
// for interpreters of scripts.
//
// The rules and the words are runc 1.1's: a name without a slash is looked for
// in the PATH of the process's own environment, which has no default.
func LookPath(v *View, p *specs.Process) error {
	if len(p.Args) == 0 {
		return &ExecError{Code: 1, Message: "args must not be empty"}
	}
	l := lookup{view: v, cwd: p.Cwd, user: newUser(p)}
	name := p.Args[0]
	if strings.Contains(name, "/") {
		err := l.executable(name)
		if err == nil {
			return l.permitted(name)
		}
		return l.failed(name, err)
	}
	return l.search(name, pathOf(p.Env))
}

// Program is where the process's program lies in the tree, a path without
// links: "/usr/lib/systemd/systemd" for "/sbin/init". It is empty when LookPath
// would fail, and when the host cannot see it.
func Program(v *View, p *specs.Process) (string, error) {
	if len(p.Args) == 0 {
		return "", nil
	}
	l := lookup{view: v, cwd: p.Cwd, user: newUser(p)}
	name := p.Args[0]
	candidates := []string{name}
	if !strings.Contains(name, "/") {
		candidates = nil
		for _, dir := range filepath.SplitList(pathOf(p.Env)) {
			candidates = append(candidates, filepath.Join(dir, name))
		}
	}
	for _, file := range candidates {
		path, err := l.resolve(file)
		var errno unix.Errno
		switch {
		case err == nil:
			return path, nil
		case errors.Is(err, ErrUnknown):
			return "", nil
		case !errors.Is(err, fs.ErrPermission) && !errors.As(err, &errno):
			return "", err
		}
	}
	return "", nil
}

// resolve returns the path without links of an executable file.
func (l lookup) resolve(file string) (string, error) {
	if err := l.executable(file); err != nil {
		var missing *fs.PathError
		if errors.As(err, &missing) {
			return "", missing.Err
		}
		return "", err
	}
	w, err := l.view.newWalk(l.user)
	if err != nil {
		return "", err
	}
	defer w.close()
	if !filepath.IsAbs(file) {
		if err := w.follow(l.cwd); err != nil {
			return "", ErrUnknown
		}
	}
	if err := w.follow(file); err != nil {
		return "", err
	}
	return w.path(), nil
}

// pathOf returns the PATH of an environment. As for the C library, the first
// entry counts.
func pathOf(env []string) string {
	for _, e := range env {
		if path, ok := strings.CutPrefix(e, "PATH="); ok {
			return path
		}
	}
	return ""
}

type lookup struct {
	view *View
	cwd  string
	user *user
}

// search looks through the folders of path, as Go's exec.LookPath does.
func (l lookup) search(name, path string) error {
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			dir = "."
		}
		file := filepath.Join(dir, name)
		if name == "" {
			file = dir // a folder, and so not executable
		}
		err := l.executable(file)
		switch {
		case errors.Is(err, ErrUnknown):
			return nil // it may be here, before the other folders
		case err != nil:
			continue
		case !filepath.IsAbs(file):
			return execError(126, name, "cannot run executable found relative to current directory")
		}
		return l.permitted(file)
	}
	return execError(127, name, "executable file not found in $PATH")
}

// executable reports whether file is something that anybody may execute, which
// is all that exec.LookPath of runc's Go asks for.
func (l lookup) executable(file string) error {
	st, err := l.view.stat(file, l.cwd, l.user)
	if err != nil {
		var errno unix.Errno
		if errors.As(err, &errno) {
			return &fs.PathError{Op: "stat", Path: file, Err: errno}
		}
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR || st.Mode&0o111 == 0 {
		return fs.ErrPermission
	}
	return nil
}

// permitted reports whether the user may execute the file, as execve(2) would.
func (l lookup) permitted(file string) error {
	w, err := l.view.newWalk(l.user)
	if err != nil {
		return err
	}
	defer w.close()
	if !filepath.IsAbs(file) {
		if err := w.follow(l.cwd); err != nil {
			return nil
		}
	}
	if err := w.follow(file); err != nil {
		return nil // it changed since, and the guest finds out
	}
	if l.view.mapped || l.user.may(w.here()) {
		return nil
	}
	return &ExecError{Code: 126, Message: "exec " + file + ": permission denied"}
}

// failed puts the error about a name with a slash into runc's words.
func (l lookup) failed(name string, err error) error {
	var notFound *fs.PathError
	switch {
	case errors.Is(err, ErrUnknown):
		return nil
	case errors.Is(err, fs.ErrPermission):
		if errors.As(err, &notFound) {
			return execError(126, name, err.Error())
		}
		return execError(126, name, "permission denied")
	case errors.As(err, &notFound):
		return execError(127, name, err.Error())
	}
	return err
}

func execError(code int, name, reason string) error {
	return &ExecError{Code: code, Message: "exec: " + strconv.Quote(name) + ": " + reason}
}

// user is whom the kernel asks about.
type user struct {
	uid       uint32
	gids      []uint32
	overrides bool // root, or a capability that does as well
}

func newUser(p *specs.Process) *user {
	u := &user{uid: p.User.UID, gids: append([]uint32{p.User.GID}, p.User.AdditionalGids...)}
	u.overrides = u.uid == 0
	if p.Capabilities != nil {
		for _, c := range []string{"CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"} {
			u.overrides = u.overrides || slices.Contains(p.Capabilities.Effective, c)
		}
	}
	return u
}

// may reports whether the user may search the directory, or execute the file.
func (u *user) may(s *step) bool {
	if u.overrides {
		return true
	}
	mode := s.st.Mode
	switch {
	case u.uid == s.st.Uid:
		mode >>= 6
	case slices.Contains(u.gids, s.st.Gid):
		mode >>= 3
	}
	// An access list may say otherwise; then the guest's kernel decides.
	return mode&1 != 0 || hasACL(s.fd)
}

func hasACL(fd int) bool {
	// A descriptor opened with O_PATH has no fgetxattr(2).
	n, err := unix.Getxattr("/proc/self/fd/"+strconv.Itoa(fd), "system.posix_acl_access", nil)
	return err == nil && n > 0
}
