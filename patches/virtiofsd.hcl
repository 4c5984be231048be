# There are two programs by the name of virtiofsd: the one in C that came with
# QEMU until 7.2, and the one in Rust.

patch "virtiofsd-rust-cache" {
  when     = host.virtiofsd == "rust" && profile.rootfs.cache == "always"
  reason   = "The Rust virtiofsd keeps names and attributes for a day with \"always\", and its timeout cannot be set: what the host changes would stay unseen. With \"auto\" it is seen after a second."
  upstream = "https://gitlab.com/virtio-fs/virtiofsd"

  set {
    rootfs {
      cache = "auto"
    }
  }
}
