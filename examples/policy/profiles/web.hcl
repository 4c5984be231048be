variable "tier" {
  description = "The size of the machine"
  allowed     = ["small", "large"]
  default     = "small"
}

profile "web" {
  machine {
    memory = var.tier == "large" ? "2G" : "512M"
  }
}

# In every machine of this host: see the policy.
profile "site" {
  agent {
    stop_timeout = "30s"
  }
}
