profile "microvm" {
  description = "A small machine with few devices, none of them on a PCI bus"
  inherits    = ["default"]

  machine {
    type = "microvm"
  }

  firmware {
    # SeaBIOS looks for what this machine does not have.
    type = "qboot"
  }
}
