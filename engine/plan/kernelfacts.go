package plan

import "path"

// ModulesVolume is the name, below VolumesMount, of the kernel's modules.
const ModulesVolume = "modules"

// SharedModules is the folder with the kernel's own modules.dep, as a path in
// what virtiofsd shares; empty when the guest sees no modules.
func (k *Kernel) SharedModules() string {
	switch {
	case k.Source == "image" && k.Build != nil && k.Build.Modules != "":
		return path.Join(path.Base(RootMount), k.Build.Modules)
	case k.Modules == "version":
		return path.Join(path.Base(VolumesMount), ModulesVolume)
	case k.Modules == "all":
		return path.Join(path.Base(VolumesMount), ModulesVolume, k.Version)
	}
	return ""
}

// OSRelease is what os-release(5) of an image has.
type OSRelease struct {
	ID     string   `json:"id,omitempty"`
	IDLike []string `json:"id_like,omitempty"`
}

// KernelAbilities are what a kernel with its initramfs can be used for.
type KernelAbilities struct {
	Vsock bool `json:"vsock"`          // it drives a vsock device
	MMIO  bool `json:"mmio,omitempty"` // it drives virtio-mmio
	EFI   bool `json:"efi,omitempty"`  // EFI firmware can start its bzImage
	// NICs are the models of network devices that it drives beside virtio's.
	NICs []string `json:"nics,omitempty"`
}

// ImageKernel is a kernel that an image brings.
type ImageKernel struct {
	Distribution string `json:"distribution"` // the catalogue's entry that says where it lies
	Version      string `json:"version"`      // uname -r
	Image        string `json:"image"`        // path in the image
	Modules      string `json:"modules"`      // folder in the image
	// Digest is "sha256-" and the hex SHA-256 of all that its folder is made of.
	Digest string `json:"digest"`
	KernelAbilities
}

// UnusableKernel is a file that looks like a kernel and cannot boot.
type UnusableKernel struct {
	Path   string `json:"path"` // in the image
	Reason string `json:"reason"`
}

// KernelPlaces is where the images of a distribution have their kernel.
type KernelPlaces struct {
	Distribution string
	Images       []string // absolute patterns; the first that matches wins
	Modules      []string // absolute folders, which have a folder for each release
	Formats      []string // how the names of modules end: ".ko.xz"
}

// KernelFiles are files of the host that a profile names as the kernel.
type KernelFiles struct {
	Image     string `json:"image"`
	Initramfs string `json:"initramfs,omitempty"`
	Modules   string `json:"modules,omitempty"` // a folder with modules.dep
	Version   string `json:"version,omitempty"` // uname -r, read from the image
	// Digest is that of ImageKernel.
	Digest string `json:"digest,omitempty"`
	// Problem is a sentence that says why they cannot boot; empty when they can.
	Problem string `json:"problem,omitempty"`
	KernelAbilities
}
