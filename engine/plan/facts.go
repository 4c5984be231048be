package plan

// Facts is everything that the engine knows of the world. runtime/facts
// gathers it; a file may replay it.
type Facts struct {
	Host Host `json:"host"`
	KVM  KVM  `json:"kvm"`
	// VHostNet is about /dev/vhost-net, by which the host's kernel moves frames.
	VHostNet VHostNet `json:"vhost_net"`
	// TC and Bridge are about the kernel's parts that the network modes of these
	// names need.
	TC     Usable `json:"tc"`
	Bridge Usable `json:"bridge"`
	// Vsock is about /dev/vhost-vsock, by which the agent's stream goes through
	// the host's kernel.
	Vsock  Vsock  `json:"vsock"`
	Tools  Tools  `json:"tools"`
	Image  Image  `json:"image"`
	Bundle Bundle `json:"bundle"`
	// KernelsDir is the folder on the host that kernels are installed in.
	KernelsDir string `json:"kernels_dir"`
	// Kernels are those installed there, sorted by distribution, then version.
	Kernels []InstalledKernel `json:"kernels"`
	// KernelFiles are the host's files that the profile names; nil when it names
	// none.
	KernelFiles *KernelFiles `json:"kernel_files,omitempty"`
}

// Host is the machine that runs the container.
type Host struct {
	Architecture string `json:"architecture"` // GOARCH
	Kernel       string `json:"kernel"`       // uname -r
	CPUs         int    `json:"cpus"`         // usable by this process
	MemoryMiB    int    `json:"memory_mib"`
	TSCKHz       int    `json:"tsc_khz,omitempty"` // 0 when unknown
	HasTun       bool   `json:"has_tun"`           // /dev/net/tun is a character device
	IPv6         bool   `json:"ipv6"`              // the kernel has IPv6
	// MaxOpenFiles is the highest RLIMIT_NOFILE that a container can be given:
	// fs.nr_open when the runtime has CAP_SYS_RESOURCE, else its own hard limit.
	// 0 when unknown.
	MaxOpenFiles uint64 `json:"max_open_files,omitempty"`
	// HugePages are the sizes of huge pages that the kernel has, the smallest
	// first.
	HugePages []HugePages `json:"huge_pages,omitempty"`
	// VFIO are the IOMMU groups with a device that the driver vfio-pci has, by
	// their numbers.
	VFIO []VFIOGroup `json:"vfio,omitempty"`
}

// VFIOGroup is an IOMMU group: PCI devices that only one user may have together.
type VFIOGroup struct {
	Number int `json:"number"`
	// Major and Minor are those of /dev/vfio/NUMBER; 0 when there is none.
	Major   int64       `json:"major,omitempty"`
	Minor   int64       `json:"minor,omitempty"`
	Devices []PCIDevice `json:"devices"` // by their addresses
}

// PCIDevice is a PCI device of the host.
type PCIDevice struct {
	Address string `json:"address"`          // DOMAIN:BUS:DEVICE.FUNCTION: "0000:01:00.0"
	Driver  string `json:"driver,omitempty"` // that has it; empty when none has
}

// HugePages are the host's huge pages of one size.
type HugePages struct {
	SizeKiB int `json:"size_kib"`
	Total   int `json:"total"`
	// Free is how many can be taken: those that nobody has or has reserved, and
	// those that the kernel may make beyond (nr_overcommit_hugepages).
	Free int `json:"free"`
}

// KVM is the verdict of the measured probe.
type KVM struct {
	Usable bool   `json:"usable"`
	Reason string `json:"reason"` // a sentence: what was measured, or why it could not be
	// Nested says that KVM lets a guest's processor have virtualisation.
	Nested bool `json:"nested,omitempty"`
	// PMU says that KVM lets a guest have performance counters.
	PMU bool `json:"pmu,omitempty"`
}

// Usable says whether something of the host can be used.
type Usable struct {
	Usable bool   `json:"usable"`
	Reason string `json:"reason"` // a sentence: what was found
}

// VHostNet says whether /dev/vhost-net opens.
type VHostNet struct {
	Usable bool   `json:"usable"`
	Reason string `json:"reason"` // a sentence: that it opens, or why it does not
}

// Vsock says whether a machine can have a vsock device. In a plan that is
// executed, its address has been taken.
type Vsock struct {
	Usable bool   `json:"usable"`
	Reason string `json:"reason"` // a sentence: what was found
}

// Tools describes the tool root.
type Tools struct {
	Root          string `json:"root"`           // host path
	QEMUVersion   string `json:"qemu_version"`   // "7.2.22"
	VirtiofsdKind string `json:"virtiofsd_kind"` // "c" or "rust"
	VirtiofsdPath string `json:"virtiofsd_path"` // within the tool root
	Qboot         bool   `json:"qboot"`          // the qboot firmware is there
	EFI           bool   `json:"efi"`            // OVMF is there, see EFICode and EFIVars
	// CPUModels are QEMU's processors by name, each with the features that TCG
	// lacks of it; CPUFeatures are the names of all features, and TCGFeatures those
	// that TCG has. All are sorted.
	CPUModels   []CPUModel `json:"cpu_models"`
	CPUFeatures []string   `json:"cpu_features"`
	TCGFeatures []string   `json:"tcg_features"`
}

// CPUModel is a processor that QEMU knows.
type CPUModel struct {
	Name string `json:"name"`
	// TCGLacks are the features of it that TCG does not have.
	TCGLacks []string `json:"tcg_lacks,omitempty"`
}

// Image is the container's image.
type Image struct {
	// Program is where the entrypoint's program lies in the container, links
	// followed; empty when the host cannot tell.
	Program string `json:"program,omitempty"`
	// Labels are those of the image and those given to docker run: which of them
	// are the image's is not recorded anywhere.
	Labels map[string]string `json:"labels,omitempty"`
	// OSRelease is what the image says that it is; nil when it says nothing.
	OSRelease *OSRelease `json:"os_release,omitempty"`
	// Kernel is the image's own; nil without one that could boot.
	Kernel *ImageKernel `json:"kernel,omitempty"`
	// UnusableKernels are files that look like the image's kernel and cannot boot.
	UnusableKernels []UnusableKernel `json:"unusable_kernels,omitempty"`
	// Ports are those that the image exposes or the container publishes, as
	// "80/tcp", sorted.
	Ports []string `json:"ports,omitempty"`
	// Modprobe says that the image has the program modprobe.
	Modprobe bool `json:"modprobe,omitempty"`
	// ExitHabits says that the image gives exit codes in the ways of ExitPrograms.
	ExitHabits bool `json:"exit_habits,omitempty"`
	// Env is the RUNCVM_* variables of the image's own environment, NAME=VALUE.
	// EnvKnown says whether the image was there to look at.
	Env      []string `json:"env,omitempty"`
	EnvKnown bool     `json:"env_known,omitempty"`
}

// Bundle is where the container's files are on the host.
type Bundle struct {
	RootPath string `json:"root_path"` // absolute
	StateDir string `json:"state_dir"` // bind-mounted at StateMount
	// UpperDir is where the root keeps what the container writes, when it is an
	// overlayfs; empty when it is none.
	UpperDir string `json:"upper_dir,omitempty"`
	// HostNetwork says that the network namespace which config.json names is the
	// host's own.
	HostNetwork bool `json:"host_network,omitempty"`
	// Sockets are the sources of mounts that are unix sockets, in the order of the
	// mounts.
	Sockets []HostSocket `json:"sockets,omitempty"`
	// SocketFolders are the sources of mounts that are folders with unix sockets
	// right in them, in the order of the mounts.
	SocketFolders []string `json:"socket_folders,omitempty"`
}

// HostSocket is a unix socket of the host.
type HostSocket struct {
	Path string `json:"path"` // as config.json has it
	Type string `json:"type"` // SocketStream, SocketDatagram or SocketSeqpacket
}

// InstalledKernel is a folder below the prefix's kernels/.
type InstalledKernel struct {
	Distribution string `json:"distribution"`
	Version      string `json:"version"`
	HostDir      string `json:"host_dir"`
	HasVmlinux   bool   `json:"has_vmlinux"` // the extracted image, for PVH
	Default      bool   `json:"default"`     // "latest" points at it
	KernelAbilities
}

// Paths within the tool root, which are the container's paths.
const (
	SupervisorPath = "/usr/bin/runcvm"
	QEMUPath       = "/usr/bin/qemu-system-x86_64"
	HardlinksPath  = "/usr/lib/runcvm/hardlinks.so"    // virtiofsd preloads it
	EFICode        = "/usr/share/OVMF/OVMF_CODE_4M.fd" // OVMF, for a flash of 4 MiB
	EFIVars        = "/usr/share/OVMF/OVMF_VARS_4M.fd" // its variables, as they begin
	ShareMount     = "/vm"                             // what virtiofsd serves
	RootMount      = "/vm/rootfs"                      // the image
	VolumesMount   = "/vm/volumes"                     // a tmpfs; one entry for each bind mount, named by its index
	UpperMount     = "/upper"                          // what the container has written of the image's root; hardlinks.so looks there
	KernelMount    = "/kernel"                         // the kernel's host folder
	StateMount     = "/run/runcvm"                     // the container's state folder
	ShmMount       = "/dev/shm"                        // holds the guest's RAM when Memory.Backend is "shm"
)

// Names of files below a kernel's folder.
const (
	KernelImage    = "vmlinuz"
	KernelVmlinux  = "vmlinux"
	KernelInitrd   = "initramfs"
	EFIVarsState   = "efivars.fd" // a machine's own copy of EFIVars, in its state folder
	KernelBoot     = "kernel"     // of a folder that was built: vmlinux where it can be entered directly, else vmlinuz
	KernelManifest = "manifest.json"
	// KernelDrives lists what the initramfs has drivers for, one a line: the agent's
	// transports, BusMMIO and models of network devices.
	KernelDrives = "initramfs.drives"
	// KernelBuiltDir, below Facts.KernelsDir, has the folders that are built for a
	// container, named by digest.
	KernelBuiltDir = ".built"
	ToolsManifest  = "etc/runcvm/tools.json" // below the tool root
)

// Manifest is the manifest of a kernel's folder.
type Manifest struct {
	Distribution string            `json:"distribution"`
	Version      string            `json:"version"`
	Package      string            `json:"package"`           // the Debian package and its version
	Modules      []string          `json:"modules"`           // in the initramfs, in load order
	Files        map[string]string `json:"files"`             // sha256 in hex by path within the folder
	Builder      string            `json:"builder,omitempty"` // digest of what built the initramfs: inputs and options
	Added        bool              `json:"added,omitempty"`   // by who runs the host, not by an installation
	Guest        string            `json:"guest,omitempty"`   // sha256 in hex of the runcvm-guest in the initramfs
}
