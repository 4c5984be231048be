package oci

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/sockets"
)

// findSockets finds the sources of mounts that are unix sockets. What cannot be
// looked at is left to runc, which says why when it mounts it.
func findSockets(spec *specs.Spec) []plan.HostSocket {
	var found []plan.HostSocket
	for _, m := range spec.Mounts {
		if m.Source == "" || m.Source[0] != '/' {
			continue
		}
		socket, err := sockets.Open(m.Source)
		if err != nil {
			continue
		}
		found = append(found, plan.HostSocket{Path: m.Source, Type: socket.Type()})
		socket.Close()
	}
	return found
}
