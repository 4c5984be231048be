# docker run -e RUNCVM_VAR_TIER=large, of a container whose profile is "tiered".
variable "tier" {
  description = "How large the machine is"
  default     = "small"
  allowed     = ["small", "medium", "large"]
}

locals {
  sizes = { small = "512M", medium = "1G", large = "4G" }
  cpus  = { small = 1, medium = 2, large = 4 }
}

profile "tiered" {
  machine {
    cpus   = min(local.cpus[var.tier], host.cpus)
    memory = local.sizes[var.tier]
  }
}
