package oci

import (
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// joinsHostNetwork says whether the spec names the host's own network
// namespace by a path, as Docker does for --network host: a file "default" in
// the folder of its sandboxes, whose others have hex names. That is the
// namespace of dockerd, which need not be ours.
func joinsHostNetwork(spec *specs.Spec) bool {
	if spec.Linux == nil {
		return false
	}
	for _, ns := range spec.Linux.Namespaces {
		if ns.Type != specs.NetworkNamespace || ns.Path == "" {
			continue
		}
		// ip-netns(8) keeps namespaces in /run/netns, where any may have the name.
		if filepath.Base(ns.Path) == "default" && filepath.Base(filepath.Dir(ns.Path)) == "netns" &&
			strings.TrimPrefix(ns.Path, "/var") != "/run/netns/default" {
			return true
		}
		var own, theirs unix.Stat_t
		if unix.Stat("/proc/self/ns/net", &own) == nil && unix.Stat(ns.Path, &theirs) == nil &&
			own.Dev == theirs.Dev && own.Ino == theirs.Ino {
			return true
		}
	}
	return false
}
