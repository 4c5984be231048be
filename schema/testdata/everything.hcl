profile "base" {
  description = "Ünïcode, \"quotes\"\nand 😀"
  machine {
    accel  = "tcg"
    cpus   = container.cpus
    memory = local.size
    nested = true
  }
}

profile "web" {
  inherits = ["base", "other"]
  kernel {
    append  = ["quiet", "tier=${var.tier}", "literal=$${x}", "a\\b\tc\u00e9" == "x" ? "no" : "yes"]
    version = "6.1"
  }
  agent {
    boot_timeout = "1m30s"
    stop_timeout = null
  }
}

patch "old-qemu" {
  when     = version_compare(host.qemu, "8.0") < 0 && profile.machine.accel == "tcg"
  reason   = "it is old"
  upstream = "https://example.org/1"
  set {
    kernel {
      append = concat(profile.kernel.append, ["patched"])
    }
  }
}

policy "host" {
  description        = "what is allowed"
  required_profiles  = ["base"]
  forbidden_profiles = ["legacy-*"]
  label {
    allow    = ["machine.*"]
    deny     = ["machine.accel"]
    profiles = []
    inline   = false
  }
  variable {
    allow = []
  }
  limit "machine.memory" {
    max    = size(bytes(host.memory) / 2)
    action = "deny"
  }
  limit "machine.cpus" {
    min = 1
    max = host.cpus
  }
}

variable "tier" {
  description = "how large"
  default     = "small"
  allowed     = ["small", "large"]
}
variable "count" {
  type    = "number"
  default = 2
}

locals {
  size  = var.tier == "small" ? "256M" : "2G"
  table = { a = 1, b = ["x", true, null] }
}
