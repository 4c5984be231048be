profile "secure" {
  description = "A guest whose kernel hands out no used memory and keeps old interfaces shut; some per cent slower"

  kernel {
    append = [
      "init_on_alloc=1", "init_on_free=1", # memory is cleared
      "slab_nomerge", "page_alloc.shuffle=1", "randomize_kstack_offset=on",
      "vsyscall=none", "debugfs=off",
      "sysctl.kernel.randomize_va_space=2", # also where a patch turns it off
    ]
  }
}
