package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"
)

// Disk is a file that a VM uses as a disk. It is made when it is not there.
type Disk struct {
	Name string // for messages
	// Root is the folder that Path lies in: links in Path are followed within it.
	Root, Path string
	// Size in bytes is that of a file that has to be made; 0 when it must exist.
	Size int64
	// FS is the file system that a new file is formatted with: "ext2", "ext3" or
	// "ext4".
	FS string
	// FillRoot and Fill name the folder whose content a new file system begins
	// with, in the same way as Root and Path; none where it does not exist.
	FillRoot, Fill string
	// Mke2fs formats, Debugfs finishes: both of e2fsprogs.
	Mke2fs, Debugfs string
}

// ErrDiskInUse says that another VM has the disk open.
var ErrDiskInUse = errors.New("the disk is in use by another machine")

// Open opens the disk's file for reading and writing, and locks it against
// other machines until it is closed in every process that has it. A file that
// is not there is made beside its place, sparse, formatted and filled, and
// renamed when it is whole.
func (d *Disk) Open(ctx context.Context) (*os.File, error) {
	file, err := d.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("disk %q: %w", d.Name, err)
	}
	return file, nil
}

func (d *Disk) open(ctx context.Context) (*os.File, error) {
	root, err := openFolder(d.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	folder, name := path.Split(path.Clean("/" + d.Path))
	if name == "" {
		return nil, fmt.Errorf("its source %q names no file", d.Path)
	}
	parent, err := pathrs.OpenatInRoot(root, folder)
	if errors.Is(err, fs.ErrNotExist) && d.Size > 0 {
		parent, err = pathrs.MkdirAllHandle(root, folder, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("its source's folder %s: %w", folder, bare(err))
	}
	defer parent.Close()
	file, err := d.openExisting(parent, name)
	if errors.Is(err, fs.ErrNotExist) {
		return d.make(ctx, parent, name)
	}
	return file, err
}

func openFolder(path string) (*os.File, error) {
	return os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
}

// bare drops the operation and the path of an error that the message names in
// the user's words.
func bare(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// openExisting opens and locks the file in its folder. It is fs.ErrNotExist
// when there is none.
func (d *Disk) openExisting(parent *os.File, name string) (*os.File, error) {
	// A link is not followed, and a pipe not waited for.
	fd, err := unix.Openat(int(parent.Fd()), name, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case err == unix.ELOOP:
		return nil, fmt.Errorf("its source %s is a symbolic link; name the file itself", d.Path)
	case err == unix.ENOENT:
		return nil, fs.ErrNotExist
	case err == unix.EISDIR || err == unix.ENXIO:
		return nil, d.notRegular()
	case err != nil:
		return nil, fmt.Errorf("open its source %s: %w", d.Path, err)
	}
	file := os.NewFile(uintptr(fd), d.Path)
	if err := d.check(file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (d *Disk) notRegular() error {
	return fmt.Errorf("its source %s is no regular file; a disk is a file that holds a file system", d.Path)
}

// sectorSize is what a disk's size is a multiple of, in bytes.
const sectorSize = 512

func (d *Disk) check(file *os.File) error {
	st, err := file.Stat()
	switch {
	case err != nil:
		return err
	case !st.Mode().IsRegular():
		return d.notRegular()
	case st.Size() == 0 || st.Size()%sectorSize != 0:
		return fmt.Errorf("its source %s has %d bytes, which is no multiple of %d: it is no disk, or was cut off. Make it larger with truncate(1), or move it away, and an empty disk is made in its place", d.Path, st.Size(), sectorSize)
	}
	return lock(file)
}

// lock takes the file for this machine. The lock is that of the open file
// description, which QEMU shares.
func lock(file *os.File) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return ErrDiskInUse
	}
	return err
}

// temporary is the name of a file that is being made. Only one machine at a
// time makes it: the others find it locked.
func temporary(name string) string { return "." + name + ".new" }

// make makes the file under a temporary name and puts it in its place.
func (d *Disk) make(ctx context.Context, parent *os.File, name string) (*os.File, error) {
	if d.Size == 0 {
		return nil, fmt.Errorf("its source %s does not exist, and it has no size to be made with. Set its size", d.Path)
	}
	dir := int(parent.Fd())
	fd, err := unix.Openat(dir, temporary(name), unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", d.Path, err)
	}
	file := os.NewFile(uintptr(fd), d.Path)
	if err := d.fillNew(ctx, parent, name, file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (d *Disk) fillNew(ctx context.Context, parent *os.File, name string, file *os.File) error {
	if err := lock(file); err != nil {
		return fmt.Errorf("make %s: %w", d.Path, err)
	}
	dir := int(parent.Fd())
	// Another machine may have finished it between the two looks.
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil {
		return ErrDiskInUse
	}
	err := d.format(ctx, file)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = unix.Renameat2(dir, temporary(name), dir, name, unix.RENAME_NOREPLACE)
	}
	if err != nil {
		_ = unix.Unlinkat(dir, temporary(name), 0)
		return fmt.Errorf("make %s: %w", d.Path, err)
	}
	return syncFolder(parent)
}

// syncFolder makes a rename last. The handle itself is good for paths only.
func syncFolder(folder *os.File) error {
	f, err := pathrs.Reopen(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// format makes the file its size, sparse, and a file system in it. What a former
// attempt has left is dropped.
func (d *Disk) format(ctx context.Context, file *os.File) error {
	for _, size := range []int64{0, d.Size} {
		if err := file.Truncate(size); err != nil {
			return fmt.Errorf("make it %d bytes large: %w", d.Size, bare(err))
		}
	}
	// Descriptors 3 and up.
	files := []*os.File{file}
	args := []string{"-q", "-F", "-t", d.FS, "-E", "lazy_itable_init=1,lazy_journal_init=1,discard"}
	fill, err := d.openFill()
	if err != nil {
		return err
	}
	if fill != nil {
		defer fill.Close()
		files = append(files, fill)
		args = append(args, "-d", "/proc/self/fd/4/")
	}
	if err := run(ctx, files, "", d.Mke2fs, append(args, "/proc/self/fd/3")...); err != nil || fill == nil {
		return err
	}
	return d.finishRoot(ctx, file, fill)
}

// finishRoot gives the root of the file system the owner and the permissions of
// the folder that filled it, which mke2fs before 1.47.2 does not.
func (d *Disk) finishRoot(ctx context.Context, file, fill *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(fill.Fd()), &st); err != nil {
		return fmt.Errorf("look at its target: %w", err)
	}
	requests := fmt.Sprintf("set_inode_field / mode 0%o\nset_inode_field / uid %d\nset_inode_field / gid %d\n", st.Mode, st.Uid, st.Gid)
	return run(ctx, []*os.File{file}, requests, d.Debugfs, "-w", "-f", "-", "/proc/self/fd/3")
}

// run executes a program with files as its descriptors 3 and up.
func run(ctx context.Context, files []*os.File, stdin, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.ExtraFiles = files
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, lastLine(out))
	}
	return nil
}

// openFill opens the folder that fills the disk, nil when there is none.
func (d *Disk) openFill() (*os.File, error) {
	if d.Fill == "" {
		return nil, nil
	}
	root, err := openFolder(d.FillRoot)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	found, err := pathrs.OpenatInRoot(root, d.Fill)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at its target %s: %w", d.Fill, bare(err))
	}
	st, err := found.Stat()
	if err == nil && !st.IsDir() {
		err = fmt.Errorf("its target %s is no folder; a file system is mounted on one", d.Fill)
	}
	if err != nil {
		found.Close()
		return nil, err
	}
	return found, nil
}

// lastLine is the last line that says something.
func lastLine(out []byte) string {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	return string(bytes.TrimSpace(lines[len(lines)-1]))
}
