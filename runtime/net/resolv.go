package net

import (
	"bytes"
	"net/netip"
)

// DockerResolver is where Docker's resolver answers within a container's
// network namespace.
const DockerResolver = "127.0.0.11:53"

var dockerResolverAddress = netip.MustParseAddrPort(DockerResolver).Addr()

// UsesDockerResolver reports whether a resolv.conf(5) names Docker's resolver,
// so that the guest needs the relay.
func UsesDockerResolver(resolvconf []byte) bool {
	for line := range bytes.Lines(resolvconf) {
		fields := bytes.Fields(line)
		if len(fields) < 2 || string(fields[0]) != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(string(fields[1])); err == nil && addr == dockerResolverAddress {
			return true
		}
	}
	return false
}
