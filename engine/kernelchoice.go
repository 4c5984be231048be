package engine

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/kernels/catalogue"
	"github.com/runcvm/runcvm/schema"
)

// Values of the kernel block's attributes that stand for no choice.
const (
	automatic     = "auto"
	latestVersion = "latest"
)

// kernelRequest is what the profile says of the kernel.
type kernelRequest struct {
	source                string
	distribution, version string // perhaps automatic and latestVersion
}

func requestOf(p *schema.Profile) kernelRequest {
	r := kernelRequest{
		source:       schema.KernelSource.Of(p),
		distribution: schema.KernelDistribution.Of(p),
		version:      schema.KernelVersion.Of(p),
	}
	if r.source == automatic {
		switch {
		case schema.KernelImage.Of(p) != "":
			r.source = "files"
		case r.distribution != automatic || r.version != latestVersion:
			r.source = "catalogue"
		}
	}
	return r
}

// KernelFiles returns the files of the host that the profile boots, which are
// facts to be gathered before Compile; nil when it boots another kernel.
func KernelFiles(p *schema.Profile) *plan.KernelFiles {
	if requestOf(p).source != "files" {
		return nil
	}
	return &plan.KernelFiles{
		Image: schema.KernelImage.Of(p), Initramfs: schema.KernelInitramfs.Of(p), Modules: schema.KernelModulesDir.Of(p),
	}
}

// chooseKernel decides which kernel boots, in the order that the documentation
// of kernel.source gives. Without one, the reason is reported.
func (c *compiler) chooseKernel() (plan.Kernel, bool) {
	r := requestOf(c.profile)
	switch {
	case r.source == "files":
		return c.kernelOfFiles()
	case r.source == "image" || r.source == automatic && c.facts.Image.Kernel != nil:
		return c.kernelOfImage()
	}
	if r.source == automatic {
		c.warnUnusable()
	}
	return c.installedKernel(r)
}

// warnUnusable says why what looks like the image's kernel does not boot.
func (c *compiler) warnUnusable() {
	if list := c.facts.Image.UnusableKernels; len(list) > 0 {
		c.warn("The image's kernel is not used", "The image has what looks like a kernel and cannot boot: %s. An installed one boots instead.", unusable(list))
	}
}

func unusable(list []plan.UnusableKernel) string {
	var sentences []string
	for _, k := range list {
		sentences = append(sentences, k.Path+" ("+k.Reason+")")
	}
	return strings.Join(sentences, ", ")
}

func (c *compiler) kernelOfImage() (plan.Kernel, bool) {
	k := c.facts.Image.Kernel
	if k == nil {
		detail := "kernel.source is \"image\", and the image has no kernel in the places of its distribution."
		if list := c.facts.Image.UnusableKernels; len(list) > 0 {
			detail = "kernel.source is \"image\", and no kernel of the image can boot: " + unusable(list) + "."
		}
		c.diags.Errorf("No kernel in the image", "%s Install the distribution's kernel package in the image, or use another source.%s", detail, c.blame(schema.KernelSource.Attribute))
		return plan.Kernel{}, false
	}
	c.kernelCan = k.KernelAbilities
	d, _ := catalogue.Find(k.Distribution)
	return plan.Kernel{
		Source:       "image",
		Reason:       fmt.Sprintf("The image has a kernel of its own, %s.", k.Image),
		Distribution: k.Distribution,
		Version:      k.Version,
		HostDir:      c.builtDir(k.Digest),
		Image:        c.bootable(plan.KernelBoot),
		Build:        &plan.KernelBuild{Root: c.facts.Bundle.RootPath, Image: k.Image, Modules: k.Modules, Formats: d.Places.Formats},
	}, true
}

func (c *compiler) builtDir(digest string) string {
	return path.Join(c.facts.KernelsDir, plan.KernelBuiltDir, digest)
}

func (c *compiler) kernelOfFiles() (plan.Kernel, bool) {
	asked, f := KernelFiles(c.profile), c.facts.KernelFiles
	if asked.Image == "" {
		c.diags.Errorf("No kernel file", "kernel.source is \"files\", and kernel.image names no file. Give it the absolute path of a kernel image on the host.%s", c.blame(schema.KernelSource.Attribute))
		return plan.Kernel{}, false
	}
	if f == nil {
		f = &plan.KernelFiles{Problem: "The facts do not tell about them"}
	}
	if f.Problem != "" {
		c.diags.Errorf("Kernel files unusable", "The kernel's files cannot be booted: %s. They are files of the host.%s", f.Problem, c.blame(schema.KernelImage.Attribute))
		return plan.Kernel{}, false
	}
	c.kernelCan = f.KernelAbilities
	return plan.Kernel{
		Source:  "files",
		Reason:  fmt.Sprintf("The profile names the host's file %s.", f.Image),
		Version: f.Version,
		HostDir: c.builtDir(f.Digest),
		Image:   c.bootable(plan.KernelBoot),
		Build:   &plan.KernelBuild{Root: "/", Image: f.Image, Modules: f.Modules, Initramfs: f.Initramfs},
	}, true
}

// installedKernel finds a kernel among those below the prefix.
func (c *compiler) installedKernel(r kernelRequest) (plan.Kernel, bool) {
	if r.distribution != automatic {
		if k := c.findInstalled(r.distribution, r.version); k != nil {
			return c.installed(k, "The profile asks for this distribution."), true
		}
		c.reportKernel(r)
		return plan.Kernel{}, false
	}
	var words []string
	if release := c.facts.Image.OSRelease; release != nil {
		words = append([]string{release.ID}, release.IDLike...)
	}
	missing := ""
	for i, word := range words {
		d, known := catalogue.ByID(word)
		if !known {
			continue
		}
		field := "ID_LIKE"
		if i == 0 {
			field = "ID"
		}
		if k := c.findInstalled(d.Name, r.version); k != nil {
			return c.installed(k, fmt.Sprintf("The image's /etc/os-release has %q as its %s%s.", word, field, missing)), true
		}
		missing += fmt.Sprintf("; its %s %q has no kernel installed", field, word)
	}
	name := catalogue.Default().Name
	if k := c.findInstalled(name, r.version); k != nil {
		return c.installed(k, c.whyDefault(name, words, missing)), true
	}
	if r.version != latestVersion {
		for i := range c.facts.Kernels {
			if k := &c.facts.Kernels[i]; k.Version == r.version {
				return c.installed(k, "The profile asks for this version."), true
			}
		}
	}
	r.distribution = name
	c.reportKernel(r)
	return plan.Kernel{}, false
}

func (c *compiler) whyDefault(name string, words []string, missing string) string {
	why := "the image has no /etc/os-release that names its distribution"
	switch {
	case missing != "":
		why = "the image's /etc/os-release names no other" + missing
	case len(words) > 0 && words[0] != "":
		why = fmt.Sprintf("the image's /etc/os-release has %q as its ID, for which there is no kernel", words[0])
	}
	return fmt.Sprintf("It is the default, %s: %s.", name, why)
}

func (c *compiler) installed(k *plan.InstalledKernel, reason string) plan.Kernel {
	c.kernelCan = k.KernelAbilities
	image := plan.KernelImage
	// A kernel that is entered directly does not learn of the text screen that the
	// firmware has set up.
	if k.HasVmlinux && c.plan.Display.VGA == noVGA {
		// Entered directly by PVH: nothing to decompress, a tenth of the boot.
		image = plan.KernelVmlinux
	}
	return plan.Kernel{
		Source: "catalogue", Reason: reason,
		Distribution: k.Distribution, Version: k.Version, HostDir: k.HostDir, Image: c.bootable(image),
	}
}

// bootable is the file of a kernel's folder that the firmware starts: image,
// unless that is not for it.
func (c *compiler) bootable(image string) string {
	if c.plan.Firmware.Type == firmwareEFI {
		return plan.KernelImage // EFI starts programs of its own form, which the bzImage has
	}
	return image
}

func (c *compiler) findInstalled(distribution, version string) *plan.InstalledKernel {
	for i := range c.facts.Kernels {
		k := &c.facts.Kernels[i]
		if k.Distribution == distribution && (k.Version == version || version == latestVersion && k.Default) {
			return k
		}
	}
	return nil
}

func (c *compiler) reportKernel(r kernelRequest) {
	if len(c.facts.Kernels) == 0 {
		c.diags.Errorf("No kernel installed", "There is no kernel in %s for the machine to boot. Install one: runcvm install.", c.facts.KernelsDir)
		return
	}
	var installed, names []string
	for _, k := range c.facts.Kernels {
		installed = append(installed, k.Distribution+" "+k.Version)
		names = append(names, k.Distribution)
		if k.Distribution == r.distribution {
			names = append(names, k.Version)
		}
	}
	wanted, culprit := r.version, schema.KernelVersion.Attribute
	if !slices.Contains(names, r.distribution) {
		wanted, culprit = r.distribution, schema.KernelDistribution.Attribute
	}
	c.diags.Errorf("Kernel not installed",
		"The profile asks for the kernel %q of %q, which is not installed.%s Installed are: %s. Choose one of them, or install more: runcvm kernels add.%s",
		r.version, r.distribution, diag.DidYouMean(wanted, names), strings.Join(installed, ", "), c.blame(culprit))
}

// moduleFolder is the guest's folder of modules.
const moduleFolder = "/lib/modules"

// compileModules decides how the guest sees the kernel's modules. It returns
// the host's folder and where the guest has it; nothing when it does not.
func (c *compiler) compileModules() (source, destination string) {
	k := &c.plan.Kernel
	k.Modules = schema.KernelModules.Of(c.profile)
	own := path.Join(k.HostDir, "lib/modules", k.Version)
	switch k.Source {
	case "image":
		k.Modules, k.ModulesReason = "none", "The modules are in the image, as its kernel is."
	case "files":
		if own = schema.KernelModulesDir.Of(c.profile); own == "" {
			k.Modules, k.ModulesReason = "none", "kernel.modules_dir names no folder."
		}
	}
	if k.Modules == automatic {
		k.Modules, k.ModulesReason = "none", "The image does not have the program modprobe."
		if c.facts.Image.Modprobe {
			k.Modules, k.ModulesReason = "version", "The image has the program modprobe."
		}
	}
	switch k.Modules {
	case "version":
		return own, path.Join(moduleFolder, k.Version)
	case "all":
		if path.Base(own) != k.Version {
			c.diags.Errorf("Modules folder with another name",
				"kernel.modules is \"all\", which shows the folder around kernel.modules_dir as /lib/modules, and %s is not named after the kernel's release %s. Rename it, or use \"version\".%s", own, k.Version, c.blame(schema.KernelModules.Attribute))
		}
		return path.Dir(own), moduleFolder
	}
	return "", ""
}
