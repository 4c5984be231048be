// Package api is the wire between the supervisor (host side, in the container)
// and runcvm-guest (in the VM). It is the only package that both sides share.
//
// One byte stream (vsock, or a virtio-serial port) carries, after the guest's
// greeting (Greet), a yamux session. The
// supervisor is the yamux client, the guest the server. Either side may open
// streams; every stream begins with one Open message that says what it is for.
//
//   - KindBoot, opened once by the supervisor: Boot down, then Events up until
//     EventReady or EventFailed. Stays open for Control messages.
//   - KindProcess, one for each process, opened by the supervisor: Process
//     down; ProcessEvents up (Started or Failed, then Exited); ProcessControl
//     down at any time after Started.
//   - KindStdio, opened by the supervisor before the process's own stream, one
//     for each descriptor that is not to be /dev/null. Raw bytes after Open.
//     Half-close is end of file; the supervisor's, of an output, says that its
//     reader has gone. With a terminal there is no stderr stream.
//   - KindNetwork, one for each change, opened by the supervisor after EventReady:
//     NetworkChange down, an Event up.
//   - KindResources, opened by the supervisor after EventReady: Resources down, an
//     Event up.
//   - KindClock, opened by the supervisor after EventReady: Clock down, an Event up.
//   - KindProcesses, opened by the supervisor after EventReady: Processes up.
//   - KindDNS, opened by the guest: raw DNS messages, each prefixed with its
//     length as two bytes in network order (RFC 1035, 4.2.2), in both
//     directions.
//   - KindSocket, one for each connection to a socket of Boot.Sockets, or for all
//     datagrams to one, opened by the guest: the frames of package guest/relay, in
//     both directions.
package api

import specs "github.com/opencontainers/runtime-spec/specs-go"

// PortName is the name of the virtio-serial port that carries the stream, as
// it stands in /sys/class/virtio-ports/*/name.
const PortName = "org.runcvm.agent.0"

// ExecInit, a word of the kernel's command line, makes the entrypoint the VM's
// PID 1 in place of runcvm-guest, which goes on beside it.
const ExecInit = "runcvm.init=exec"

// ShareTag is the virtiofs mount tag of the share that holds RootDir and
// VolumesDir.
const ShareTag = "runcvm"

// VolumesTag is the tag of a share that holds what is in VolumesDir, in its
// place.
const VolumesTag = "runcvm-volumes"

// Folders within the share.
const (
	RootDir    = "rootfs"  // the image's root file system
	VolumesDir = "volumes" // bind mounts, one entry each, named by Mount.Source
)

// Kind says what a stream is for.
type Kind string

// The kinds of streams; the package documentation tells each one's protocol.
const (
	KindBoot    Kind = "boot"
	KindProcess Kind = "process"
	KindStdio   Kind = "stdio"
	KindNetwork Kind = "network"
	KindDNS     Kind = "dns"
	KindSocket  Kind = "socket"

	KindResources Kind = "resources"
	KindClock     Kind = "clock"
	KindProcesses Kind = "processes"
)

// Open is the first message on every stream.
type Open struct {
	Kind    Kind   `json:"kind"`
	Process string `json:"process,omitempty"` // KindStdio: the process's ID
	FD      int    `json:"fd,omitempty"`      // KindStdio: 0, 1 or 2
	Network string `json:"network,omitempty"` // KindDNS: "udp" or "tcp"
	Socket  string `json:"socket,omitempty"`  // KindSocket: the socket's name
	Peer    *Peer  `json:"peer,omitempty"`    // KindSocket, but for datagrams: who has connected
}

// SyscallFilter is a filter program of seccomp(2): an array of struct sock_filter as
// it is in memory, and SECCOMP_FILTER_FLAG_*.
type SyscallFilter struct {
	Program []byte `json:"program"`
	Flags   uint32 `json:"flags,omitempty"`
}

// Peer is the user of a process in the guest that has connected to a socket.
type Peer struct {
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups,omitempty"` // beside GID
}

// Boot is everything that the guest sets up before the first process.
type Boot struct {
	Hostname   string   `json:"hostname,omitempty"`
	Domainname string   `json:"domainname,omitempty"`
	ReadOnly   bool     `json:"read_only,omitempty"` // remount the root read-only after the mounts
	Mounts     []Mount  `json:"mounts,omitempty"`    // in order
	Devices    []Device `json:"devices,omitempty"`   // made in /dev beside the default ones
	// DiskNodes are made in the same way, for disks of the VM.
	DiskNodes []DiskNode `json:"disk_nodes,omitempty"`
	// MaskedPaths are hidden, ReadonlyPaths cannot be written to; those that do
	// not exist are left out.
	MaskedPaths   []string    `json:"masked_paths,omitempty"`
	ReadonlyPaths []string    `json:"readonly_paths,omitempty"`
	Cgroupfs      *Cgroupfs   `json:"cgroupfs,omitempty"`      // nil mounts none
	VolumesShare  bool        `json:"volumes_share,omitempty"` // the VM has the share VolumesTag
	Sockets       []Socket    `json:"sockets,omitempty"`       // in the place of the host's
	Interfaces    []Interface `json:"interfaces,omitempty"`
	Routes        []Route     `json:"routes,omitempty"`
	// NoIPv6 turns IPv6 off but for interfaces that have such an address; the
	// loopback has it where one of them has.
	NoIPv6    bool              `json:"no_ipv6,omitempty"`
	DNSRelay  bool              `json:"dns_relay,omitempty"` // listen on 127.0.0.11:53, UDP and TCP
	Sysctl    map[string]string `json:"sysctl,omitempty"`
	PidsLimit int64             `json:"pids_limit,omitempty"` // of the container's processes and threads; 0 for none
	// Seccomp is what each process is put under before its program runs; nil for
	// nothing.
	Seccomp *SyscallFilter `json:"seccomp,omitempty"`
	// KnownFiles is how many files of the share the kernel may keep in memory,
	// unless they are in use; 0 for any number.
	KnownFiles uint64 `json:"known_files,omitempty"`
	// PassedSlots are the places on the root bus of the ports of devices that are
	// the host's: their drivers are loaded, and the container has their nodes.
	PassedSlots []int `json:"passed_slots,omitempty"`
	// Modules is the folder, within the share, from which the kernel loads the
	// modules that it needs later; empty for none.
	Modules string `json:"modules,omitempty"`
}

// Cgroupfs says which hierarchies of control groups are mounted below
// /sys/fs/cgroup.
type Cgroupfs struct {
	// Mode is CgroupV1, CgroupV2 or CgroupHybrid.
	Mode     string `json:"mode"`
	Optional bool   `json:"optional,omitempty"` // what the kernel lacks is left out
	ReadOnly bool   `json:"read_only,omitempty"`
}

// The modes of Cgroupfs.
const (
	CgroupV1     = "1"      // each controller's own hierarchy
	CgroupV2     = "2"      // the unified hierarchy at /sys/fs/cgroup itself
	CgroupHybrid = "hybrid" // the former, and the unified one in "unified"
)

// Mount is a mount in the guest. Type "volume" binds the entry Source of
// VolumesDir; any other type is a file system of the guest's kernel. Options
// are those of mount(8), as in the OCI runtime specification.
type Mount struct {
	Type        string   `json:"type"`
	Source      string   `json:"source,omitempty"`
	Destination string   `json:"destination"` // in the image's root; made when missing
	Options     []string `json:"options,omitempty"`
}

// TypeVolume is the Mount type of an entry of VolumesDir.
const TypeVolume = "volume"

// TypeProgram is the Mount type of the guest's own program under the name that
// Destination ends in.
const TypeProgram = "program"

// TypeSocket is the Mount type of the socket of Boot.Sockets that Source names.
const TypeSocket = "socket"

// Socket is a unix socket on which the guest listens. What connects to it is
// relayed to a socket of the host.
type Socket struct {
	Name string `json:"name"`
	Type string `json:"type"` // SocketStream, SocketDatagram or SocketSeqpacket
	Mode uint32 `json:"mode"` // permissions, as on the host
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
}

// Types of Socket.
const (
	SocketStream    = "stream"
	SocketDatagram  = "datagram"
	SocketSeqpacket = "seqpacket"
)

// MaxSocketConnections bounds the connections that are relayed at once, of all
// sockets together. Others wait in the backlog of the guest's socket.
const MaxSocketConnections = 256

// DiskSource begins the Source of a mount of a disk, before its serial number.
const DiskSource = "disk:"

// Device is a device node.
type Device = specs.LinuxDevice

// DiskNode is a node of a disk, whose numbers the guest finds by its serial
// number.
type DiskNode struct {
	Serial string `json:"serial"`
	Device Device `json:"device"`
}

// Interface is a network interface as the container has it. The guest finds
// its own by the hardware address and gives it the name.
type Interface struct {
	Name      string   `json:"name"`
	MAC       string   `json:"mac"`
	MTU       int      `json:"mtu"`                 // bytes
	Addresses []string `json:"addresses,omitempty"` // CIDR, IPv4 and IPv6
	// Driver is the model of the VM's device, "e1000e", where its driver is not
	// among those that each VM has: the guest loads the list of modules "load." and
	// the model.
	Driver string `json:"driver,omitempty"`
}

// Route is a route of the main table.
type Route struct {
	Interface   string `json:"interface"`
	Destination string `json:"destination,omitempty"` // CIDR; empty for the default route
	Gateway     string `json:"gateway,omitempty"`
	Source      string `json:"source,omitempty"`
	Scope       int    `json:"scope,omitempty"`  // RT_SCOPE_*
	Metric      int    `json:"metric,omitempty"` // priority
	IPv6        bool   `json:"ipv6,omitempty"`   // the family of a default route without gateway
	OnLink      bool   `json:"onlink,omitempty"`
}

// NetworkChange is what has become of the container's network while the VM runs.
type NetworkChange struct {
	// Removed are names of interfaces that are no more.
	Removed []string `json:"removed,omitempty"`
	// Added are interfaces whose devices have just been added to the VM.
	Added []Interface `json:"added,omitempty"`
	// OldRoutes are no more, NewRoutes are new; of any interface.
	OldRoutes []Route `json:"old_routes,omitempty"`
	NewRoutes []Route `json:"new_routes,omitempty"`
	DNSRelay  bool    `json:"dns_relay,omitempty"` // see Boot; once is enough
}

// Resources are what the guest makes use of, or holds the container to, from now
// on. Zero fields are no request.
type Resources struct {
	// CPUs is the number of vCPUs that are to work, which the VM has; the others rest.
	CPUs int `json:"cpus,omitempty"`
	// Memory readies the guest for a change of its memory.
	Memory *MemoryChange `json:"memory,omitempty"`
	// PidsLimit is the number of processes and threads that the container may have;
	// less than 1 is no limit.
	PidsLimit *int64 `json:"pids_limit,omitempty"`
}

// MemoryChange is what is about to become of the VM's memory.
type MemoryChange struct {
	// TakenMiB is what it loses. A guest that has too little to spare refuses.
	TakenMiB int `json:"taken_mib,omitempty"`
}

// Clock is the host's time of day, by which the guest sets its own.
type Clock struct {
	UnixNanos int64 `json:"unix_nanos"` // CLOCK_REALTIME
}

// EventType says what a boot stream's Event reports.
type EventType string

// Events of the boot stream.
const (
	EventReady  EventType = "ready"  // processes may start
	EventFailed EventType = "failed" // Message says what, in one line
	EventSynced EventType = "synced" // the answer to ControlShutdown: file systems are synced and unmounted
)

// Event is a guest's message on the boot stream.
type Event struct {
	Type    EventType `json:"type"`
	Message string    `json:"message,omitempty"`
	// Timeline has the guest's milestones so far, in order.
	Timeline []Milestone `json:"timeline,omitempty"`
	// UptimeNanos is CLOCK_BOOTTIME when the event was sent, by which the
	// supervisor places the milestones on its own clock.
	UptimeNanos int64 `json:"uptime_nanos"`
}

// Milestone is a named moment of the boot, in nanoseconds of CLOCK_BOOTTIME.
type Milestone struct {
	Name        string `json:"name"`
	UptimeNanos int64  `json:"uptime_nanos"`
}

// Names of the guest's milestones.
const (
	MilestoneInit       = "guest init"
	MilestoneModules    = "modules loaded"
	MilestoneConnected  = "agent connected"
	MilestoneRoot       = "root mounted"
	MilestoneNetwork    = "network up"
	MilestoneReady      = "guest ready"
	MilestoneEntrypoint = "entrypoint"
)

// Control is a supervisor's message on the boot stream after Boot.
type Control struct {
	// Shutdown ends every process, syncs, unmounts, answers EventSynced and
	// powers the VM off.
	Shutdown bool `json:"shutdown,omitempty"`
}

// Process asks for a process in the VM.
type Process struct {
	ID string `json:"id"`
	// Init makes the process the container's entrypoint: PID 1 of a new PID
	// namespace or, with ExecInit, of the VM. There is one. Every other process joins that namespace.
	Init bool `json:"init,omitempty"`
	// Stdio lists the descriptors that have a KindStdio stream, which the
	// guest waits for before it starts the process.
	Stdio []int `json:"stdio,omitempty"`
	// Console is a device in the container's root that is the process's terminal in
	// the place of streams; for the container's entrypoint alone.
	Console string `json:"console,omitempty"`
	// PlainNewlines clears the new terminal's ONLCR: the terminal that shows
	// its output makes CR LF of LF itself.
	PlainNewlines bool `json:"plain_newlines,omitempty"`
	// Spec is the process as the engine wants it. With Terminal, the guest
	// allocates the pty and descriptors 0 and 1 are its two directions.
	Spec specs.Process `json:"spec"`
}

// ProcessEvent is a guest's message on a process stream.
type ProcessEvent struct {
	Started *Started `json:"started,omitempty"`
	Failed  *Failed  `json:"failed,omitempty"`
	Exited  *Exited  `json:"exited,omitempty"`
}

// Started says that the process runs: its program has been executed.
type Started struct {
	PID         int   `json:"pid"`          // in the guest's own namespace
	UptimeNanos int64 `json:"uptime_nanos"` // CLOCK_BOOTTIME
}

// Failed says that the process could not be started.
type Failed struct {
	// Code is 127 when the program was not found, 126 when it may not be
	// executed, else 1.
	Code int `json:"code"`
	// Message is in runc's words: exec: "x": executable file not found in $PATH.
	Message string `json:"message"`
}

// Exited is sent after the last byte of the process's output has been written
// to its streams. A stream ends with its pipe: later, when another process
// holds that too. With a terminal, and after the entrypoint's end, none does.
type Exited struct {
	Code   int `json:"code"`             // 128+Signal when a signal ended it
	Signal int `json:"signal,omitempty"` // Linux signal number
	// Output counts the bytes in each descriptor's stream that were written
	// until the process ended.
	Output [3]int64 `json:"output,omitzero"`
}

// ProcessControl is a supervisor's message on a process stream. Zero fields
// are no request.
type ProcessControl struct {
	Signal int     `json:"signal,omitempty"` // Linux signal number, sent to the process as it is
	Resize *Window `json:"resize,omitempty"`
}

// Window is a terminal's size in character cells.
type Window struct {
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}
