profile "legacy" {
  description = "For programs of old distributions: CentOS 6 and its like call the kernel by vsyscall pages"

  firmware {
    type = "seabios"
  }

  kernel {
    append = ["vsyscall=emulate"]
  }
}
