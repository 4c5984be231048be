# What this host grants. An image shapes its own machine, and nothing else.
policy "house" {
  description = "No image chooses its kernel; nobody gets more than half of the host"

  label {
    allow  = ["machine.*", "agent.*"]
    deny   = ["machine.accel"]
    inline = false
  }

  limit "machine.memory" {
    max = size(bytes(host.memory) / 2)
  }

  limit "machine.cpus" {
    max    = host.cpus
    action = "deny"
  }
}
