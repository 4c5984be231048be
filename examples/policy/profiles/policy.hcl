# What images and variables may ask for on this host. Copy it to
# /etc/runcvm/profiles/ and try it: runcvm policy test cases.hcl

policy "shared-host" {
  description        = "A host that many people use"
  required_profiles  = ["site"]
  forbidden_profiles = ["debug"]

  # An image chooses among the profiles of the host, and says how large it is.
  label {
    profiles = ["web", "web-*"]
    inline   = false
    allow    = ["machine.cpus", "machine.memory", "var.tier"]
  }

  # Who runs a container may set everything but the kernel.
  variable {
    deny = ["kernel.*"]
  }

  limit "machine.memory" {
    max = size(bytes(host.memory) / 4)
  }

  limit "machine.cpus" {
    max    = host.cpus
    action = "deny"
  }
}
