distribution "openwrt" {
  title = "OpenWrt"
  ids   = ["openwrt", "lede"]

  kernels = ["/boot/vmlinuz", "/boot/vmlinuz-*"]
  # All modules of a release are in one folder, without depmod's files.
  modules = ["/lib/modules"]
  formats = [".ko"]
}
