distribution "alpine" {
  title = "Alpine Linux"
  ids   = ["alpine"]

  # The file is named after the flavour, not after the release; that of the
  # package linux-virt is made for virtual machines.
  kernels = ["/boot/vmlinuz-virt", "/boot/vmlinuz-lts", "/boot/vmlinuz-*"]
  modules = ["/lib/modules", "/usr/lib/modules"]
  formats = [".ko", ".ko.gz"]
}
