// Package imagefs reads directory trees that are not trusted, such as a
// container's image. Links are followed as the tree's own system would follow
// them: an absolute one begins at the tree's root, and none leads out of it,
// whatever changes the tree meanwhile. Only regular files are opened, so that
// neither a FIFO nor a device can hold the reader up, and only up to a size.
package imagefs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of what is read.
const (
	maxLinks   = 40   // MAXSYMLINKS of the kernel
	maxPath    = 4096 // PATH_MAX of the kernel
	maxEntries = 4096 // in one folder
)

// Errors that a path gives beside those of the file system. The path's own
// error wraps them.
var (
	ErrLinks      = errors.New("too many links")
	ErrNotRegular = errors.New("not a regular file")
	ErrTooLarge   = errors.New("too large")
	ErrTooMany    = errors.New("too many files")
)

// Tree is a directory tree that is not trusted.
type Tree struct{ root *os.Root }

// Open opens the tree below dir, a path that is trusted.
func Open(dir string) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Tree{root: root}, nil
}

// Close closes the tree. Files that were opened stay open.
func (t *Tree) Close() error { return t.root.Close() }

// Resolve returns the path of name, relative to the tree's root and free of
// links.
func (t *Tree) Resolve(name string) (string, error) {
	done, err := t.resolve(name)
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: "/" + strings.TrimLeft(name, "/"), Err: err}
	}
	return done, nil
}

func (t *Tree) resolve(name string) (string, error) {
	done, rest, links := ".", name, 0
	for {
		part, tail, more := strings.Cut(strings.TrimLeft(rest, "/"), "/")
		rest = tail
		switch part {
		case "", ".":
		case "..":
			done = path.Dir(done) // of the root, the root itself
		default:
			next := path.Join(done, part)
			target, err := t.link(next)
			if err != nil {
				return "", err
			}
			if target == "" {
				done = next
				break
			}
			if links++; links > maxLinks {
				return "", ErrLinks
			}
			if strings.HasPrefix(target, "/") {
				done = "."
			}
			rest = target + "/" + rest
			more = true
			if len(rest) >= maxPath {
				return "", unix.ENAMETOOLONG
			}
		}
		if !more {
			return done, nil
		}
	}
}

// link returns the target of a link, empty for anything else.
func (t *Tree) link(name string) (string, error) {
	info, err := t.root.Lstat(name)
	if err != nil {
		return "", bare(err)
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return "", nil
	}
	target, err := t.root.Readlink(name)
	if err == nil && target == "" {
		err = fs.ErrNotExist
	}
	return target, bare(err)
}

// bare is an error without the path, which belongs to the root's side.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Stat describes what name leads to.
func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	real, err := t.Resolve(name)
	if err != nil {
		return nil, err
	}
	return t.root.Lstat(real)
}

// OpenFile opens the regular file that name leads to, of at most limit bytes.
func (t *Tree) OpenFile(name string, limit int64) (*os.File, error) {
	real, err := t.Resolve(name)
	if err != nil {
		return nil, err
	}
	f, err := t.openRegular(real, limit)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: "/" + strings.TrimLeft(name, "/"), Err: bare(err)}
	}
	return f, nil
}

func (t *Tree) openRegular(name string, limit int64) (*os.File, error) {
	// Looked at before it is opened, which alone makes some devices act, and
	// opened without waiting, should it have become a FIFO meanwhile.
	before, err := t.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is a %s", ErrNotRegular, kind(before.Mode()))
	}
	f, err := t.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = ErrNotRegular
	case info.Size() > limit:
		err = fmt.Errorf("%w: it has %d bytes, more than %d", ErrTooLarge, info.Size(), limit)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeNamedPipe != 0:
		return "FIFO"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// ReadFile reads the regular file that name leads to, of at most limit bytes.
func (t *Tree) ReadFile(name string, limit int64) ([]byte, error) {
	f, err := t.OpenFile(name, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fs.PathError{Op: "read", Path: name, Err: ErrTooLarge}
	}
	return data, err
}

// ReadDir lists the folder that name leads to, sorted by name. A folder with
// more than a few thousand entries is an error.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	real, err := t.Resolve(name)
	if err != nil {
		return nil, err
	}
	// Opening what is no directory could wait for a FIFO's other end.
	info, err := t.root.Lstat(real)
	if err == nil && !info.IsDir() {
		err = unix.ENOTDIR
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: bare(err)}
	}
	f, err := t.root.OpenFile(real, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(maxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(entries) > maxEntries {
		return nil, &fs.PathError{Op: "list", Path: name, Err: fmt.Errorf("%w: more than %d", ErrTooMany, maxEntries)}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Glob returns the paths that match an absolute pattern, in which each part may
// be one of path.Match. What cannot be listed matches nothing.
func (t *Tree) Glob(pattern string) []string {
	found := []string{"/"}
	for part := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
		var next []string
		for _, dir := range found {
			next = append(next, t.match(dir, part)...)
		}
		found = next
	}
	return found
}

func (t *Tree) match(dir, part string) []string {
	if !strings.ContainsAny(part, `*?[\`) {
		name := path.Join(dir, part)
		// The last one may be a link that leads nowhere: whoever opens it says so.
		parent, err := t.resolve(dir)
		if err != nil {
			return nil
		}
		if _, err := t.root.Lstat(path.Join(parent, part)); err != nil {
			return nil
		}
		return []string{name}
	}
	entries, err := t.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if ok, err := path.Match(part, e.Name()); ok && err == nil {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	return names
}

// Sub is the folder dir of the tree as an fs.FS, whose files have at most limit
// bytes.
func (t *Tree) Sub(dir string, limit int64) fs.FS { return &sub{tree: t, dir: dir, limit: limit} }

type sub struct {
	tree  *Tree
	dir   string
	limit int64
}

// Open opens a regular file; folders are listed by ReadDir.
func (s *sub) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return s.tree.OpenFile(path.Join(s.dir, name), s.limit)
}

// ReadFile is fs.ReadFileFS.
func (s *sub) ReadFile(name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return s.tree.ReadFile(path.Join(s.dir, name), s.limit)
}

// ReadDir is fs.ReadDirFS.
func (s *sub) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return s.tree.ReadDir(path.Join(s.dir, name))
}

// Stat is fs.StatFS.
func (s *sub) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	return s.tree.Stat(path.Join(s.dir, name))
}
