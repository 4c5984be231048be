distribution "ubuntu" {
  title = "Ubuntu"
  ids   = ["ubuntu"]

  kernels = ["/boot/vmlinuz", "/boot/vmlinuz-*", "/vmlinuz"]
  modules = ["/lib/modules", "/usr/lib/modules"]
  formats = [".ko", ".ko.zst"] # .zst from Ubuntu 24.04 on
}
