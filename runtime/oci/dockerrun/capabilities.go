package dockerrun

import (
	"fmt"
	"slices"
	"strings"
)

// defaults are the capabilities that Docker gives a container, in its order.
var defaults = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// all are Linux's, by their numbers: capabilities(7).
var all = strings.Fields(`CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID
	CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW
	CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN
	CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE
	CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND
	CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE`)

// capabilities are what the container's root may do: the defaults with what is
// added and without what is dropped.
func (o *Options) capabilities() ([]string, error) {
	if o.privileged {
		return slices.Clone(all), nil
	}
	add, err := named("--cap-add", o.capAdd)
	if err != nil {
		return nil, err
	}
	drop, err := named("--cap-drop", o.capDrop)
	if err != nil {
		return nil, err
	}
	base := defaults
	switch {
	case slices.Contains(add, "ALL"):
		base = all
	case slices.Contains(drop, "ALL"):
		base = nil
		drop = nil
	}
	caps := []string{}
	for _, c := range append(slices.Clone(base), add...) {
		if c != "ALL" && !slices.Contains(drop, c) && !slices.Contains(caps, c) {
			caps = append(caps, c)
		}
	}
	return caps, nil
}

// named completes the names of capabilities: "net_admin" is CAP_NET_ADMIN.
func named(flag string, given []string) ([]string, error) {
	var names []string
	for _, name := range given {
		full := strings.ToUpper(name)
		if full != "ALL" {
			full = "CAP_" + strings.TrimPrefix(full, "CAP_")
			if !slices.Contains(all, full) {
				return nil, fmt.Errorf("docker run's flags: %s %q: there is no such capability", flag, name)
			}
		}
		names = append(names, full)
	}
	return names, nil
}
