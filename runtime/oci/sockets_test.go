package oci

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
)

func TestFindSockets(t *testing.T) {
	dir := t.TempDir()
	full, empty := filepath.Join(dir, "full"), filepath.Join(dir, "empty")
	for _, folder := range []string{full, empty} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(full, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	link := filepath.Join(empty, "link")
	if err := os.Symlink(socket, link); err != nil {
		t.Fatal(err)
	}
	var spec specs.Spec
	for _, source := range []string{"proc", "", full, empty, socket, "/dev/null", filepath.Join(dir, "none"), link} {
		spec.Mounts = append(spec.Mounts, specs.Mount{Source: source})
	}
	found, folders := findSockets(&spec)
	want := []plan.HostSocket{{Path: socket, Type: plan.SocketStream}, {Path: link, Type: plan.SocketStream}}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("sockets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{full}, folders); diff != "" {
		t.Errorf("folders (-want +got):\n%s", diff)
	}
}
