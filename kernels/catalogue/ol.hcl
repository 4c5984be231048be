distribution "ol" {
  title = "Oracle Linux"
  ids   = ["ol"]

  # A container has nothing in /boot: what copies the kernel there runs at the
  # installation on hardware only.
  kernels = ["/boot/vmlinuz", "/boot/vmlinuz-*", "/lib/modules/*/vmlinuz"]
  modules = ["/lib/modules", "/usr/lib/modules"]
  formats = [".ko", ".ko.xz", ".ko.zst"]

  # Its init would enforce a policy for which the image's files have no labels.
  arguments = ["selinux=0"]
}
