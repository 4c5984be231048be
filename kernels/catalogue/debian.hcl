distribution "debian" {
  title   = "Debian"
  ids     = ["debian"]
  default = true

  # The package makes /vmlinuz a link to the newest kernel of /boot.
  kernels = ["/vmlinuz", "/boot/vmlinuz", "/boot/vmlinuz-*"]
  modules = ["/lib/modules", "/usr/lib/modules"]
  formats = [".ko", ".ko.xz"] # .xz from Debian 13 on
}
