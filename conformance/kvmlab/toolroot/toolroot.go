// Package toolroot runs the programs of an installation's tool root on the host,
// by the tool root's own loader and libraries, so that nothing else has to be
// installed and paths are the host's.
package toolroot

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Tools are the programs of a tool root.
type Tools struct {
	root          string
	virtiofsdPath string // within root
	virtiofsdKind string // c or rust
}

// Open reads the manifest of the tool root of an installation.
func Open(prefix string) (*Tools, error) {
	root := filepath.Join(prefix, "root")
	path := filepath.Join(root, "etc/runcvm/tools.json")
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Kind string `json:"virtiofsd_kind"`
		Path string `json:"virtiofsd_path"`
	}
	if err := json.Unmarshal(body, &manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Tools{root: root, virtiofsdPath: manifest.Path, virtiofsdKind: manifest.Kind}, nil
}

const libraries = "usr/lib/x86_64-linux-gnu"

// Command prepares a program of the tool root.
func (t *Tools) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	dir := filepath.Join(t.root, libraries)
	loader := filepath.Join(dir, "ld-linux-x86-64.so.2")
	cmd := exec.CommandContext(ctx, loader, append([]string{"--library-path", dir, filepath.Join(t.root, program)}, args...)...)
	cmd.Env = append(os.Environ(), "QEMU_MODULE_DIR="+filepath.Join(dir, "qemu"), "MKE2FS_CONFIG="+filepath.Join(t.root, "etc/mke2fs.conf"))
	return cmd
}

// Firmware lists the folders that QEMU finds its firmware in.
func (t *Tools) Firmware() []string {
	return []string{
		filepath.Join(t.root, "usr/share/seabios"), filepath.Join(t.root, "usr/share/qemu"),
		filepath.Join(t.root, "usr/lib/ipxe/qemu"),
	}
}

// Virtiofsd serves a folder of the host on the listening descriptor fd.
func (t *Tools) Virtiofsd(ctx context.Context, fd int, dir, cache string) *exec.Cmd {
	socket := "--fd=" + strconv.Itoa(fd)
	if t.virtiofsdKind == "rust" {
		// An overlay takes no mount points for its lower folder.
		return t.Command(ctx, t.virtiofsdPath, socket, "--shared-dir="+dir, "--sandbox=chroot", "--cache="+cache, "--no-announce-submounts")
	}
	return t.Command(ctx, t.virtiofsdPath, socket, "-f", "-o", "source="+dir, "-o", "sandbox=chroot", "-o", "cache="+cache)
}
