package install

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
)

// merged are the top folders that Debian has below /usr. Packages of bookworm
// still have files in them.
var merged = []string{"bin", "sbin", "lib", "lib64"}

// useless are folders that no tool reads; they are half of the packages' files.
var useless = []string{"usr/include", "usr/share", "usr/games", "var"}

// useful are exceptions to useless.
var useful = []string{"usr/share/OVMF", "usr/share/qemu", "usr/share/seabios", "usr/share/terminfo"}

// unpacker unpacks packages into one tree, as on a system with a merged /usr.
type unpacker struct{ root *os.Root }

func newUnpacker(dir string) (*unpacker, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range merged {
		err := errors.Join(root.MkdirAll("usr/"+name, 0o755), root.Symlink("usr/"+name, name))
		if err != nil {
			root.Close()
			return nil, err
		}
	}
	return &unpacker{root: root}, nil
}

func (u *unpacker) Close() error { return u.root.Close() }

// deb unpacks one package. Nothing of it is run.
func (u *unpacker) deb(ctx context.Context, file string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	r, w := io.Pipe()
	cmd.Stdout = w
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		w.Close()
		ended <- err
	}()
	err := u.tar(tar.NewReader(r))
	if err == nil {
		_, err = io.Copy(io.Discard, r) // padding after the archive's end
	}
	// After an error dpkg-deb must not be left waiting for a reader.
	r.CloseWithError(err)
	if wait := <-ended; wait != nil && err == nil {
		err = &commandError{args: cmd.Args, output: []byte(stderr.String()), err: wait}
	}
	if err != nil {
		return fmt.Errorf("unpack %s: %w", path.Base(file), err)
	}
	return nil
}

func (u *unpacker) tar(t *tar.Reader) error {
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := treePath(h.Name)
		if skip(name) {
			continue
		}
		if err := u.entry(name, h, t); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// treePath is a package's path in a tree with a merged /usr.
func treePath(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for _, m := range merged {
		if name == m || strings.HasPrefix(name, m+"/") {
			return "usr/" + name
		}
	}
	return name
}

func skip(name string) bool {
	return within(name, useless) && !within(name, useful) || name == ""
}

func within(name string, folders []string) bool {
	for _, f := range folders {
		if name == f || strings.HasPrefix(name, f+"/") {
			return true
		}
	}
	return false
}

func (u *unpacker) entry(name string, h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeDir {
		return u.root.MkdirAll(name, 0o755)
	}
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	// Two packages may have one file, where one replaces the other.
	if err := u.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		// Without set-user-ID: nothing here is run by others.
		return errors.Join(err, f.Chmod(h.FileInfo().Mode().Perm()), f.Close())
	case tar.TypeSymlink:
		return u.root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return u.root.Link(treePath(h.Linkname), name)
	}
	return fmt.Errorf("it is of the type %q, which packages do not have", h.Typeflag)
}
