distribution "Some Linux" { # ERROR: Invalid name
  title   = "Some"
  ids     = ["some"]
  kernels = ["/vmlinuz"]
  modules = ["/lib/modules"]
  formats = [".ko"]
}

distribution "some" {
  title = "Some"
  ids = [
    "some", # ERROR: Duplicate ID
    var.x, # ERROR: Wrong type of value
    "",    # ERROR: Wrong type of value
  ]
  kernels = [
    "vmlinuz",     # ERROR: Invalid path
    "/../vmlinuz", # ERROR: Invalid path
    "/boot/",      # ERROR: Invalid path
    "/boot/[",     # ERROR: Invalid path
    "/boot/vmlinuz-*",
  ]
  modules = [] # ERROR: Wrong type of value
  formats = [
    ".ko.bz2", # ERROR: Unknown module format
    ".ko.zst",
  ]
  arguments = [
    "selinux=0 quiet", # ERROR: Invalid argument
    "selinux=0",
  ]
}

distribution "other" {
  title     = "Other"
  ids       = "other" # ERROR: Wrong type of value
  kernels   = ["/vmlinuz"]
  modules   = ["/lib/modules"]
  formats   = [".ko"]
  arguments = "selinux=0" # ERROR: Wrong type of value
}
