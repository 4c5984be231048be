package image

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	maxSymlinks = 40   // MAXSYMLINKS of the kernel
	maxPath     = 4096 // PATH_MAX of the kernel, with the final zero
)

var (
	errNotDirectory = unix.ENOTDIR
	// ErrUnknown says that a path lies on a file system that exists only in the
	// container, such as a tmpfs.
	ErrUnknown = errors.New("the path is on a file system that only the container has")
)

// View is a container's file tree as its processes will see it, looked at from
// the host: the root file system with the bind mounts over it. Symbolic links
// are followed within that tree and never out of it, whatever else changes the
// tree meanwhile.
type View struct {
	root   string
	mounts []mount
	// mapped says that the files' owners are those of a user namespace.
	mapped bool
}

// mount hides what the root file system has at a path.
type mount struct {
	destination string // absolute and free of links
	source      string // on the host; empty when only the container has it
}

// NewView describes the tree of a bundle's container. Relative paths in the
// spec are relative to the bundle, as the OCI runtime specification has it.
// Nothing is read yet but the destinations of mounts, which may lead through
// links of the image.
func NewView(bundle string, spec *specs.Spec) (*View, error) {
	if spec.Root == nil || spec.Root.Path == "" {
		return nil, errors.New("the container has no root file system: config.json lacks root.path")
	}
	v := &View{root: fromBundle(bundle, spec.Root.Path)}
	if spec.Linux != nil {
		v.mapped = len(spec.Linux.UIDMappings) > 0
	}
	for _, m := range spec.Mounts {
		if err := v.add(bundle, m); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func fromBundle(bundle, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(bundle, path)
}

func (v *View) add(bundle string, m specs.Mount) error {
	w, err := v.newWalk(nil)
	if err != nil {
		return err
	}
	defer w.close()
	// The runtime makes what is missing of the destination.
	w.missingIsFine = true
	if err := w.follow(m.Destination); err != nil && !errors.Is(err, ErrUnknown) {
		return fmt.Errorf("find the mount's destination %s in the image: %w", m.Destination, err)
	}
	added := mount{destination: w.path()}
	if m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind") {
		added.source = fromBundle(bundle, m.Source)
	}
	below := strings.TrimSuffix(added.destination, "/") + "/"
	v.mounts = slices.DeleteFunc(v.mounts, func(old mount) bool {
		return old.destination == added.destination || strings.HasPrefix(old.destination, below)
	})
	v.mounts = append(v.mounts, added)
	return nil
}

// at returns the mount at a path free of links.
func (v *View) at(path string) (mount, bool) {
	i := slices.IndexFunc(v.mounts, func(m mount) bool { return m.destination == path })
	if i < 0 {
		return mount{}, false
	}
	return v.mounts[i], true
}

// stat follows path, which is relative to the working directory cwd or
// absolute, as the user, and returns what it leads to. The error is a
// unix.Errno as the kernel would give it, or ErrUnknown.
func (v *View) stat(path, cwd string, u *user) (unix.Stat_t, error) {
	w, err := v.newWalk(u)
	if err != nil {
		return unix.Stat_t{}, err
	}
	defer w.close()
	if !filepath.IsAbs(path) {
		if err := w.follow(cwd); err != nil {
			return unix.Stat_t{}, ErrUnknown // the runtime makes it when it is missing
		}
	}
	if err := w.follow(path); err != nil {
		return unix.Stat_t{}, err
	}
	return w.here().st, nil
}

// step is a place on the way from the root: a descriptor that names it without
// opening it (O_PATH), so that nobody can exchange it for a link.
type step struct {
	name string
	fd   int // -1 when the place is missing or unknown
	st   unix.Stat_t
}

// walk is a way through the tree. Its steps never contain a link.
type walk struct {
	view          *View
	user          *user // nil may search every directory
	steps         []step
	links         int
	missingIsFine bool
}

// rootError says that there is no tree to look at. It does not unwrap to the
// kernel's error, which would read as one about a path in the tree.
type rootError struct {
	root string
	err  error
}

func (e *rootError) Error() string {
	return "open the container's root file system " + e.root + ": " + e.err.Error()
}

func (v *View) newWalk(u *user) (*walk, error) {
	w := &walk{view: v, user: u}
	root := v.root
	if m, ok := v.at("/"); ok {
		if m.source == "" {
			return nil, ErrUnknown
		}
		root = m.source
	}
	s, err := openHost("", root)
	if err != nil {
		return nil, &rootError{root, err}
	}
	if s.st.Mode&unix.S_IFMT != unix.S_IFDIR {
		_ = unix.Close(s.fd)
		return nil, &rootError{root, errNotDirectory}
	}
	w.steps = []step{s}
	return w, nil
}

// openHost opens a place that the host's administrator or engine names.
func openHost(name, path string) (step, error) {
	fd, err := open(unix.AT_FDCWD, path, 0)
	if err != nil {
		return step{}, err
	}
	return newStep(name, fd)
}

func open(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func newStep(name string, fd int) (step, error) {
	s := step{name: name, fd: fd}
	if err := unix.Fstat(fd, &s.st); err != nil {
		_ = unix.Close(fd)
		return step{}, err
	}
	return s, nil
}

func (w *walk) here() *step { return &w.steps[len(w.steps)-1] }

func (w *walk) path() string {
	var names []string
	for _, s := range w.steps[1:] {
		names = append(names, s.name)
	}
	return "/" + strings.Join(names, "/")
}

func (w *walk) back(to int) {
	for _, s := range w.steps[to:] {
		if s.fd >= 0 {
			_ = unix.Close(s.fd)
		}
	}
	w.steps = w.steps[:to]
}

func (w *walk) close() { w.back(0) }

// follow goes along path, from the root when it is absolute.
func (w *walk) follow(path string) error {
	if path == "" {
		return unix.ENOENT
	}
	if len(path) >= maxPath {
		return unix.ENAMETOOLONG
	}
	// What is left of the way: a link's target is put before the rest.
	rest := path
	for {
		if strings.HasPrefix(rest, "/") {
			w.back(1)
			rest = strings.TrimLeft(rest, "/")
		}
		name, tail, more := strings.Cut(rest, "/")
		if name != "" {
			target, err := w.enter(name)
			if err != nil {
				return err
			}
			if target != "" && more {
				target += "/" + tail
				more = false
				rest = target
				continue
			}
			if target != "" {
				rest = target
				continue
			}
		}
		if !more {
			return nil
		}
		// A slash follows, so that this must be a directory: also at the end.
		if s := w.here(); s.fd >= 0 && s.st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return errNotDirectory
		}
		rest = strings.TrimLeft(tail, "/")
		if rest == "" {
			return nil
		}
	}
}

// enter takes one step, or returns the target of the link that is there.
func (w *walk) enter(name string) (target string, err error) {
	here := w.here()
	if err := w.maySearch(here); err != nil {
		return "", err
	}
	switch name {
	case ".":
		return "", nil
	case "..":
		if len(w.steps) > 1 {
			w.back(len(w.steps) - 1)
		}
		return "", nil
	}
	path := strings.TrimSuffix(w.path(), "/") + "/" + name
	if m, ok := w.view.at(path); ok {
		return "", w.cross(name, m)
	}
	if here.fd < 0 {
		w.steps = append(w.steps, step{name: name, fd: -1})
		return "", nil
	}
	fd, err := open(here.fd, name, unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) && w.missingIsFine {
		w.steps = append(w.steps, step{name: name, fd: -1})
		return "", nil
	}
	if err != nil {
		return "", err
	}
	s, err := newStep(name, fd)
	if err != nil {
		return "", err
	}
	if s.st.Mode&unix.S_IFMT != unix.S_IFLNK {
		w.steps = append(w.steps, s)
		return "", nil
	}
	defer unix.Close(fd)
	if w.links++; w.links > maxSymlinks {
		return "", unix.ELOOP
	}
	return readLink(fd)
}

// cross steps onto a mount.
func (w *walk) cross(name string, m mount) error {
	if m.source == "" {
		if w.missingIsFine {
			w.steps = append(w.steps, step{name: name, fd: -1})
			return nil
		}
		return ErrUnknown
	}
	s, err := openHost(name, m.source)
	if err != nil {
		return ErrUnknown // the runtime reports a bad source better
	}
	w.steps = append(w.steps, s)
	return nil
}

func (w *walk) maySearch(s *step) error {
	if s.fd < 0 {
		return nil
	}
	if s.st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return errNotDirectory
	}
	if w.user != nil && !w.view.mapped && !w.user.may(s) {
		return unix.EACCES
	}
	return nil
}

// readLink reads the target of the link that a descriptor names.
func readLink(fd int) (string, error) {
	buf := make([]byte, maxPath)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", unix.ENOENT
	}
	return string(buf[:n]), nil
}
