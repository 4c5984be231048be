package qemu

import "strconv"

// VGA is a graphics adapter that the firmware can use.
type VGA struct {
	ID    string `json:"id"`
	Model string `json:"-"` // "virtio", "std" or "cirrus", as of -vga
}

func (v VGA) driver() string {
	switch v.Model {
	case "virtio":
		return "virtio-vga"
	case "cirrus":
		return "cirrus-vga"
	}
	return "VGA"
}

// VirtioTabletPCI is a pointer with absolute positions.
type VirtioTabletPCI struct {
	ID string `json:"id"`
}

func (VirtioTabletPCI) driver() string { return "virtio-tablet-pci" }

// XHCI is a USB controller. Its bus is named after it: "usb.0".
type XHCI struct {
	ID string `json:"id"`
}

func (XHCI) driver() string { return "qemu-xhci" }

// USBTablet is a pointer with absolute positions.
type USBTablet struct {
	ID  string `json:"id"`
	Bus string `json:"bus"`
}

func (USBTablet) driver() string { return "usb-tablet" }

// IntelHDA is a sound controller. Its bus is named after it: "sound.0".
type IntelHDA struct {
	ID string `json:"id"`
}

func (IntelHDA) driver() string { return "intel-hda" }

// HDAOutput is a sound controller's line out.
type HDAOutput struct {
	ID       string `json:"id"`
	Bus      string `json:"bus"`
	AudioDev string `json:"audiodev"`
}

func (HDAOutput) driver() string { return "hda-output" }

// SecretFile is a secret that QEMU reads from a file.
type SecretFile struct {
	ID   string `json:"id"`
	File string `json:"file"`
}

func (SecretFile) qomType() string { return "secret" }

// SilentSound adds a sound card called id that plays to nobody.
func (c *CommandLine) SilentSound(id string) {
	back := id + "back"
	c.Properties("audiodev", "none", Property{"id", back})
	c.Device(IntelHDA{ID: id})
	c.Device(HDAOutput{ID: id + "out", Bus: id + ".0", AudioDev: back})
}

// VNC adds a VNC server on every address, for the display of that number. With
// password, clients have to know what the file holds.
func (c *CommandLine) VNC(number int, password bool, file string) {
	display := ":" + strconv.Itoa(number)
	if !password {
		c.Properties("vnc", display)
		return
	}
	const secret = "vncpassword"
	c.Object(SecretFile{ID: secret, File: file})
	c.Properties("vnc", display, Property{"password-secret", secret})
}
