package oci

import (
	"errors"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/sockets"
)

// findSockets finds the sources of mounts that are unix sockets, and the folders
// among them that have some. What cannot be looked at is left to runc, which says
// why when it mounts it.
func findSockets(spec *specs.Spec) (found []plan.HostSocket, folders []string) {
	for _, m := range spec.Mounts {
		if m.Source == "" || m.Source[0] != '/' {
			continue
		}
		socket, err := sockets.Open(m.Source)
		switch {
		case err == nil:
			found = append(found, plan.HostSocket{Path: m.Source, Type: socket.Type()})
			socket.Close()
		case errors.Is(err, sockets.ErrNotSocket) && hasSockets(m.Source):
			folders = append(folders, m.Source)
		}
	}
	return found, folders
}

// fewEntries bounds how much of a folder is looked through: those for sockets hold
// little else.
const fewEntries = 1000

// hasSockets says whether there are sockets in a folder, as far as one look tells.
func hasSockets(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return false
	}
	folder, err := os.Open(path)
	if err != nil {
		return false
	}
	defer folder.Close()
	entries, _ := folder.ReadDir(fewEntries) // what it could read is enough
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Type() == os.ModeSocket })
}
