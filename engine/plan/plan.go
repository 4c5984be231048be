// Package plan holds the data that goes into the engine (Facts) and comes out
// of it (Plan). It has no behaviour beyond canonical JSON: the compiler is
// package engine, the execution is runtime/*.
package plan

import (
	"math"
	"path"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// FormatVersion is the version of the plan's JSON. It changes when a reader of
// the older form would misunderstand the newer one.
const FormatVersion = "1"

// Plan is everything that is decided about one VM before it starts. The same
// profile, spec and facts give the same plan, byte for byte.
type Plan struct {
	FormatVersion string `json:"format_version"`
	// Digest is "sha256:" and the hex SHA-256 of the plan's canonical JSON
	// with an empty digest.
	Digest   string   `json:"digest"`
	Profiles []string `json:"profiles"` // in the order in which they were merged

	Machine  Machine  `json:"machine"`
	Kernel   Kernel   `json:"kernel"`
	Firmware Firmware `json:"firmware"`
	Display  Display  `json:"display"`
	Rootfs   Rootfs   `json:"rootfs"`
	Disks    []Disk   `json:"disks,omitempty"`   // in the order of their names
	Sockets  []Socket `json:"sockets,omitempty"` // in the order of the mounts
	// BlockDevices are those of the host that are disks of the VM, in the order of
	// config.json.
	BlockDevices []BlockDevice `json:"block_devices,omitempty"`

	Network  Network  `json:"network"`
	Init     Init     `json:"init"`
	Cgroupfs Cgroupfs `json:"cgroupfs"`
	Agent    Agent    `json:"agent"`
	Guest    Guest    `json:"guest"`
	Debug    *Debug   `json:"debug,omitempty"` // nil when nothing is looked into

	// Processes are the supervisor's children by name ("qemu", "virtiofsd").
	// Descriptors that they inherit have the fixed numbers of FD*; network
	// interfaces are added by the supervisor, which first sees them.
	Processes map[string]Process `json:"processes"`

	OCI OCI `json:"oci"`

	// Patches are those that were applied, in their order.
	Patches []Patch `json:"patches,omitempty"`
	// Origins says where each attribute's value came from, by attribute path.
	Origins  map[string]Origin `json:"origins"`
	Warnings []Warning         `json:"warnings,omitempty"`
}

// BusMMIO stands for virtio-mmio among what an initramfs drives.
const BusMMIO = "virtio-mmio"

// Names of Processes.
const (
	ProcessQEMU      = "qemu"
	ProcessVirtiofsd = "virtiofsd"
	ProcessVolumes   = "virtiofsd-volumes" // when Rootfs.VolumesCache is set
)

// Descriptors that QEMU and virtiofsd inherit. Network interfaces use the
// numbers behind those of the disks.
const (
	FDQMP     = 3 // QEMU: the QMP monitor, a connected socket
	FDConsole = 4 // QEMU: the serial console, a connected socket
	FDAgent   = 5 // QEMU: the agent's virtio-serial port, a connected socket; or its vhost-vsock
	FDShare   = 6 // QEMU: vhost-user to virtiofsd, a connected socket
	FDKVM     = 7 // QEMU: /dev/kvm, when Machine.KVMDescriptor is set
	FDVolumes = 8 // QEMU: vhost-user to the virtiofsd of the volumes, a connected socket
	// FDFirmware is what the firmware writes, a connected socket, when
	// Firmware.Debug is set.
	FDFirmware = 9
	// FDFirstDisk is QEMU's first disk; the others follow, then the block devices, then
	// of each interface its taps and its vhost-net descriptors.
	FDFirstDisk = 10

	FDVhostUserListen = 3 // virtiofsd: the listening vhost-user socket
)

// FDSupervisorVsock is a socket that the supervisor inherits when the agent's
// transport is vsock, with the open device in it.
const FDSupervisorVsock = 3

// The agent's transports.
const (
	TransportVsock  = "vsock"
	TransportSerial = "virtio-serial"
)

// Machine is the virtual hardware.
type Machine struct {
	Type string `json:"type"` // QEMU's name: MachineQ35 or MachineMicroVM
	// Bus is what the virtio devices are attached to: "pci" or "mmio".
	Bus   string `json:"bus"`
	Accel string `json:"accel"` // "kvm" or "tcg"
	// AccelReason says why, in a sentence, when Accel was chosen by "auto".
	AccelReason string `json:"accel_reason,omitempty"`
	// KVMDescriptor says that QEMU gets /dev/kvm as the open descriptor FDKVM.
	KVMDescriptor bool `json:"kvm_descriptor,omitempty"`
	// Nested says that the guest's processor has virtualisation.
	Nested bool `json:"nested,omitempty"`
	// USB says that there is a USB controller with a tablet.
	USB bool `json:"usb,omitempty"`
	// CPUs is the number of vCPUs, and MaxCPUs what it may grow to; 0 when it may
	// not.
	CPUs    int `json:"cpus"`
	MaxCPUs int `json:"max_cpus,omitempty"`
	CPU     CPU `json:"cpu"`
	// MemoryMiB is the guest's RAM, and MaxMemoryMiB what it may grow to; 0 when it
	// may not.
	MemoryMiB    int    `json:"memory_mib"`
	MaxMemoryMiB int    `json:"max_memory_mib,omitempty"`
	Memory       Memory `json:"memory"`
	// VFIO are the PCI devices of the host that are the machine's. Its RAM stays in
	// the host's memory as a whole, since they reach it.
	VFIO []VFIODevice `json:"vfio,omitempty"`
	// OverheadMiB is what the memory limit of the container's cgroup grows by:
	// QEMU, its translation buffer, virtiofsd, the supervisor.
	OverheadMiB int `json:"overhead_mib"`
}

// VFIODir has the nodes of IOMMU groups, and VFIODriver is the host's driver that has
// what a machine may have.
const (
	VFIODir    = "/dev/vfio"
	VFIODriver = "vfio-pci"
)

// VFIONode is the device node of an IOMMU group.
func VFIONode(group int) string { return path.Join(VFIODir, strconv.Itoa(group)) }

// VFIODevice is a PCI device of the host that is the machine's.
type VFIODevice struct {
	Address string `json:"address"` // on the host: "0000:01:00.0"
	Group   int    `json:"group"`   // the number of its IOMMU group
	// Slot is the place of its port on the machine's root bus.
	Slot int `json:"slot"`
}

// PassedSlots are the places of the ports of VFIO.
func (m *Machine) PassedSlots() []int {
	var slots []int
	for _, d := range m.VFIO {
		slots = append(slots, d.Slot)
	}
	return slots
}

// MinMemoryMiB is the least RAM of a machine: what Debian's kernel and an initramfs
// with a few modules need to reach user space.
const MinMemoryMiB = 96

// MostCPUs is the number of vCPUs that the machine may have while it runs.
func (m *Machine) MostCPUs() int { return max(m.CPUs, m.MaxCPUs) }

// LeastMemoryMiB is the RAM that the machine has at least while it runs: huge pages
// go to the guest as a whole, and do not come back one by one; nor do those that
// devices of the host reach.
func (m *Machine) LeastMemoryMiB() int {
	if m.Memory.PageKiB > 0 || len(m.VFIO) > 0 {
		return m.MemoryMiB
	}
	return min(m.MemoryMiB, MinMemoryMiB)
}

// MostMemoryMiB is the RAM that the machine may have while it runs.
func (m *Machine) MostMemoryMiB() int { return max(m.MemoryMiB, m.MaxMemoryMiB) }

// Devices by which a machine's memory changes, by their ID in QEMU.
const (
	BalloonDevice = "balloon"     // takes memory from the guest
	GrowthDevice  = "more-memory" // has what is beyond MemoryMiB
)

// Types of machines.
const (
	MachineQ35     = "q35"
	MachineMicroVM = "microvm"
)

// CPU is the guest's processor.
type CPU struct {
	Model string `json:"model"` // QEMU's name: "max", "host", "Nehalem"
	// Features are those that are added ("+avx2") or taken away ("-avx2").
	Features []string `json:"features,omitempty"`
}

// Memory is what holds the guest's RAM on the host.
type Memory struct {
	Backend string `json:"backend"` // "memfd", "shm" or "hugetlb"
	// PageKiB is the size of the pages of "hugetlb".
	PageKiB  int  `json:"page_kib,omitempty"`
	Prealloc bool `json:"prealloc,omitempty"`
}

// Kernel is what boots. Paths are those within the tool root.
type Kernel struct {
	Source string `json:"source"` // "image", "catalogue" or "files"
	// Reason says in a sentence why this one.
	Reason       string `json:"reason"`
	Distribution string `json:"distribution,omitempty"`
	Version      string `json:"version"` // uname -r
	HostDir      string `json:"host_dir"`
	// Build is what HostDir is made from before the start, unless it is there; nil
	// for an installed kernel.
	Build       *KernelBuild `json:"build,omitempty"`
	Image       string       `json:"image"`
	Initramfs   string       `json:"initramfs"`
	CommandLine string       `json:"command_line"`
	// Modules is how the guest sees the kernel's modules: "version" at
	// /lib/modules/<version>, "all" over the whole /lib/modules, or "none".
	Modules string `json:"modules"`
	// ModulesReason says why, in a sentence, when Modules was chosen by "auto".
	ModulesReason string `json:"modules_reason,omitempty"`
}

// KernelBuild are the files that a kernel's folder is built from. They are read
// below Root, which no link leads out of, and must have the digest that is the
// folder's name.
type KernelBuild struct {
	Root      string   `json:"root"`  // on the host: the image's root, or "/"
	Image     string   `json:"image"` // absolute, from Root
	Modules   string   `json:"modules,omitempty"`
	Formats   []string `json:"formats,omitempty"` // how the names of modules end, where modules.dep is missing
	Initramfs string   `json:"initramfs,omitempty"`
}

// Firmware runs before the kernel.
type Firmware struct {
	Type string `json:"type"` // "seabios", "qboot" or "efi"
	// Debug says that what it writes is in the supervisor's log.
	Debug bool `json:"debug,omitempty"`
}

// Display is what shows the machine to people.
type Display struct {
	Mode string `json:"mode"` // DisplayHeadless and so on
	// VGA is the graphics adapter, in QEMU's words: "none", "virtio", "std" or
	// "cirrus".
	VGA string `json:"vga"`
	// VNC is the VNC server; nil for none.
	VNC *VNC `json:"vnc,omitempty"`
	// Console is the device in the guest that is the entrypoint's terminal; empty
	// where its streams are the container's.
	Console string `json:"console,omitempty"`
}

// Modes of Display.
const (
	DisplayHeadless = "headless"
	DisplaySerial   = "serial"
	DisplayVNC      = "vnc"
	DisplayCurses   = "curses"
)

// VNC is a server of QEMU's in the container's network namespace.
type VNC struct {
	Number int    `json:"number"` // of the display
	Port   uint16 `json:"port"`   // TCP
	// PasswordFile is the file of the host that has the password, which `create`
	// copies to the state folder as VNCPassword; empty for none.
	PasswordFile string `json:"password_file,omitempty"`
}

// VNCPort is the port of VNC's display 0.
const VNCPort = 5900

// VNCPassword is the name of the VNC server's password in the state folder.
const VNCPassword = "vnc-password"

// Rootfs is how the image's root reaches the guest.
type Rootfs struct {
	Type     string `json:"type"`  // "virtiofs"
	Cache    string `json:"cache"` // "auto", "always" or "none"
	HostPath string `json:"host_path"`
	ReadOnly bool   `json:"read_only,omitempty"`
	// Submounts says that the guest sees where a share leads into another file
	// system of the host.
	Submounts bool `json:"submounts"`
	// VolumesCache is the cache policy of volumes where they have a share of their
	// own, served by the process ProcessVolumes; empty when they are in the root's.
	VolumesCache string `json:"volumes_cache,omitempty"`
}

// Disk is a file that is a disk of the VM. Paths are those in the container.
type Disk struct {
	Name string `json:"name"` // also its serial number
	// Source is the path that the profile has. Root and Path are the same place:
	// links in Path are followed within Root.
	Source string `json:"source"`
	Root   string `json:"root"`
	Path   string `json:"path"`
	// SizeBytes is that of a file that has to be made; 0 when it must be there.
	SizeBytes int64  `json:"size_bytes,omitempty"`
	FS        string `json:"fs"`
	// Target is where the guest mounts it in the image's root. What the image has
	// there fills a new one.
	Target string `json:"target"`
}

// Socket is a unix socket of the host that is mounted in the guest as one that
// the supervisor relays to it.
type Socket struct {
	Volume   string `json:"volume"`    // the name of its mount below VolumesMount
	HostPath string `json:"host_path"` // as config.json has it
	Type     string `json:"type"`      // SocketStream, SocketDatagram or SocketSeqpacket
	Target   string `json:"target"`    // in the guest's root
}

// Types of Socket, as guest/api has them.
const (
	SocketStream    = "stream"
	SocketDatagram  = "datagram"
	SocketSeqpacket = "seqpacket"
)

// BlockDevice is a block device of the host that is a disk of the VM.
type BlockDevice struct {
	Name     string `json:"name"` // also its serial number
	Path     string `json:"path"` // the supervisor's node, in the container
	ReadOnly bool   `json:"read_only,omitempty"`
	// Node is the device as config.json has it: the guest's node is as that, but
	// for the numbers, which are the host's.
	Node specs.LinuxDevice `json:"node"`
}

// FDFirstTap is the number of the first descriptor behind those of the disks.
func (p *Plan) FDFirstTap() int { return FDFirstDisk + len(p.Disks) + len(p.BlockDevices) }

// Network is how the container's interfaces reach the guest.
type Network struct {
	Mode string `json:"mode"` // ModeTC, ModeBridge or ModeNone
	// ModeReason says why, in a sentence, when Mode was chosen by "auto".
	ModeReason string `json:"mode_reason,omitempty"`
	// ReservedPorts is the local port range, both ends included, that stays
	// with the container's own stack.
	ReservedPorts [2]uint16 `json:"reserved_ports"`
	// Ports stay with the container's own stack as well: those of servers that
	// run around the machine.
	Ports []PortRange `json:"ports,omitempty"`
	// NIC is what the VM has for each of the container's interfaces.
	NIC
	// NICs are the interfaces that differ from that, in the order of their names.
	// Each has to be there when the machine starts.
	NICs []NamedNIC `json:"nics,omitempty"`
	// Slots is the number of interfaces that can be added while the machine runs.
	Slots int `json:"slots,omitempty"`
	// VHostReason says why, in a sentence, when VHost was chosen by "auto".
	VHostReason string `json:"vhost_reason,omitempty"`
}

// Modes of Network.
const (
	ModeTC     = "tc"     // tc's filters move the frames between interface and tap
	ModeBridge = "bridge" // a bridge does
	ModeNone   = "none"   // the guest has the loopback alone
)

// NIC is a network device of the VM.
type NIC struct {
	Model string `json:"model,omitempty"` // "virtio", "vmxnet3", "e1000e", "e1000" or "rtl8139"
	// MTU is in bytes; 0 is that of the container's interface, which it must not
	// exceed.
	MTU int `json:"mtu,omitempty"`
	// Queues is the number of pairs of queues.
	Queues int `json:"queues,omitempty"`
	// VHost says that the host's kernel moves the frames, by a descriptor of
	// /dev/vhost-net for each pair of queues.
	VHost bool `json:"vhost"`
}

// NamedNIC is the network device for the container's interface of that name.
type NamedNIC struct {
	Name string `json:"name"`
	NIC
}

// For returns the device for the container's interface with that name.
func (n *Network) For(name string) NIC {
	for _, nic := range n.NICs {
		if nic.Name == name {
			return nic.NIC
		}
	}
	return n.NIC
}

// AnyVHost says whether the host's kernel moves the frames of an interface.
func (n *Network) AnyVHost() bool {
	return n.VHost || slices.ContainsFunc(n.NICs, func(nic NamedNIC) bool { return nic.VHost })
}

// PortRange are ports of a protocol, both ends included.
type PortRange struct {
	Protocol string `json:"protocol"` // ProtocolTCP or ProtocolUDP
	First    uint16 `json:"first"`
	Last     uint16 `json:"last"`
}

// Protocols that have ports.
const (
	ProtocolTCP = "tcp"
	ProtocolUDP = "udp"
)

// Init is the machine's PID 1.
type Init struct {
	// Mode is InitSupervise, runcvm-guest with the entrypoint in a PID namespace,
	// or InitExec, the entrypoint itself.
	Mode string `json:"mode"`
	// Reason says why, in a sentence, when Mode was chosen by "auto".
	Reason string `json:"reason,omitempty"`
	// System is the kind of init that the entrypoint is ("systemd", "busybox",
	// "openrc", "sysvinit", "s6"); empty when it is none that is known.
	System string `json:"system,omitempty"`
	// Signals are Linux signal numbers that an InitExec entrypoint takes for
	// something else than the end, each with what is sent in its place.
	Signals map[int]int `json:"signals,omitempty"`
	// ExitCode says that the container's exit code may come by ExitFile or
	// ExitPrograms, which the guest then has.
	ExitCode bool `json:"exit_code,omitempty"`
	// ExitCodeReason says why, in a sentence, when "auto" has found that it may.
	ExitCodeReason string `json:"exit_code_reason,omitempty"`
}

// Modes of Init.
const (
	InitSupervise = "supervise"
	InitExec      = "exec"
)

// Cgroupfs is what the guest mounts at /sys/fs/cgroup.
type Cgroupfs struct {
	Mode string `json:"mode"` // "none", "1", "2" or "hybrid"
	// Reason says why, in a sentence, when Mode was chosen by "auto". What the
	// guest's kernel lacks is then left out.
	Reason   string `json:"reason,omitempty"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

// Agent is about runcvm-guest.
type Agent struct {
	// Transport carries the agent's stream: TransportVsock, whose device the
	// supervisor adds to QEMU's arguments with the address that was taken for it,
	// or TransportSerial.
	Transport string `json:"transport"`
	// TransportReason says why, in a sentence, when Transport was chosen by "auto".
	TransportReason string `json:"transport_reason,omitempty"`
	// Fallback is the transport instead of one that does not reach the
	// supervisor; empty when that is the container's failure.
	Fallback           string `json:"fallback,omitempty"`
	BootTimeoutSeconds int    `json:"boot_timeout_seconds"`
	StopTimeoutSeconds int    `json:"stop_timeout_seconds"`
}

// Debug is what is looked into.
type Debug struct {
	Runtime bool `json:"runtime,omitempty"` // the verbs write a log
	QEMU    bool `json:"qemu,omitempty"`    // the supervisor logs QEMU's end, and the cgroup's memory events
	// Breakpoints are where the supervisor holds until it is released, a
	// selection of Breakpoints.
	Breakpoints []string `json:"breakpoints,omitempty"`
}

// Where a boot can hold, in the order in which it comes there.
const (
	BreakPreNet  = "prenet"  // before the network is joined with the machine
	BreakPostNet = "postnet" // the network is joined, virtiofsd runs
	BreakPreQEMU = "preqemu" // all but QEMU is there
)

// Guest is what runcvm-guest sets up and runs. The network is not in it: the
// supervisor reads it from the container when it starts.
type Guest struct {
	Hostname   string              `json:"hostname,omitempty"`
	Domainname string              `json:"domainname,omitempty"`
	Process    specs.Process       `json:"process"`
	Mounts     []GuestMount        `json:"mounts"`
	Devices    []specs.LinuxDevice `json:"devices,omitempty"`
	Sysctl     map[string]string   `json:"sysctl,omitempty"`
	// PidsLimit bounds the processes and threads of the container; 0 for no limit.
	PidsLimit int64 `json:"pids_limit,omitempty"`
	// Seccomp is what the container's own profile makes of system calls; nil where
	// it has none, or the container engine's default.
	Seccomp *SyscallFilter `json:"seccomp,omitempty"`
	// KnownFiles is how many files of the host the guest's kernel may keep in
	// memory, unless they are in use; 0 for any number.
	KnownFiles uint64 `json:"known_files,omitempty"`
	// MaskedPaths and ReadonlyPaths are those of the OCI runtime specification.
	MaskedPaths   []string `json:"masked_paths,omitempty"`
	ReadonlyPaths []string `json:"readonly_paths,omitempty"`
}

// SyscallFilter is a program that the kernel runs at each system call, see
// seccomp(2).
type SyscallFilter struct {
	// Program is an array of struct sock_filter, little-endian.
	Program []byte `json:"program"`
	// Flags are SECCOMP_FILTER_FLAG_*.
	Flags uint32 `json:"flags,omitempty"`
}

// GuestMount is a mount in the VM: see guest/api.Mount, which it becomes.
type GuestMount struct {
	Type        string   `json:"type"`
	Source      string   `json:"source,omitempty"`
	Destination string   `json:"destination"`
	Options     []string `json:"options,omitempty"`
}

// Process is a program that the supervisor starts.
type Process struct {
	Argv []string `json:"argv"`
	// Env is what its environment has beside the search path.
	Env []string `json:"env,omitempty"`
}

// OCI is what changes in the container's config.json.
type OCI struct {
	RootPath string   `json:"root_path"`
	Args     []string `json:"args"`
	// Mounts is the whole new list, in order.
	Mounts       []specs.Mount             `json:"mounts"`
	Capabilities []string                  `json:"capabilities"`
	Devices      []specs.LinuxDevice       `json:"devices"`
	DeviceRules  []specs.LinuxDeviceCgroup `json:"device_rules"`
	Sysctl       map[string]string         `json:"sysctl,omitempty"`
	// MemoryLimit is in bytes; 0 leaves the limit as it is (none).
	MemoryLimit int64 `json:"memory_limit,omitempty"`
	// PidsLimit bounds the supervisor's processes and threads; 0 leaves the limit
	// as it is.
	PidsLimit int64 `json:"pids_limit,omitempty"`
	// CPU is the CPU time and the CPUs that the machine as a whole may take. It
	// stays as the container has it.
	CPU *specs.LinuxCPU `json:"cpu,omitempty"`
	// NoFile is the supervisor's RLIMIT_NOFILE: the C virtiofsd holds one
	// descriptor for each inode that the guest knows. 0 leaves it as it is.
	NoFile uint64 `json:"nofile"`
	// LockMemory says that the supervisor's processes may keep any amount of memory
	// from being moved (RLIMIT_MEMLOCK), as VFIO does with the machine's RAM.
	LockMemory bool `json:"lock_memory,omitempty"`
}

// supervisorThreads is what the processes outside of the machine may start:
// QEMU a thread for each vCPU and up to 64 for I/O, virtiofsd a pool, the
// supervisor a few.
const supervisorThreads = 512

// OuterPidsLimit is the limit of processes around the machine when those in it have
// a limit.
func OuterPidsLimit(limit int64) int64 { return limit + min(supervisorThreads, math.MaxInt64-limit) }

// Origin is where an attribute's value came from.
type Origin struct {
	// Kind is "builtin", "file", "label", "variable", "flag", "policy" or "patch".
	Kind string `json:"kind"`
	// Where is file:line:column, the variable's name or the flag. The file of an
	// inline document is the label or the variable that holds it.
	Where string `json:"where"`
	// Value is the value as it was taken, rendered for people.
	Value string `json:"value"`
	// Overrode lists what lost, the nearest first.
	Overrode []Origin `json:"overrode,omitempty"`
}

// Patch is a condition of the host or of the machine that changed values.
type Patch struct {
	Name     string `json:"name"`
	Where    string `json:"where"`  // file:line:column
	Reason   string `json:"reason"` // a sentence
	Upstream string `json:"upstream,omitempty"`
	// Attributes are the paths of those that it set, sorted.
	Attributes []string `json:"attributes"`
}

// Warning is about something of the request that a VM does not honour as
// asked.
type Warning struct {
	Summary string `json:"summary"`
	Detail  string `json:"detail"`
}
