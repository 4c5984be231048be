# Cases for runcvm policy test. They are about a machine with 8 CPUs and 16 GiB,
# whatever the machine is that runs them.

case "an image names a profile and a tier" {
  label  = "web"
  labels = { "runcvm.var.tier" = "large" }
  expect = "allow"
  values = { "machine.memory" = "2G", "agent.stop_timeout" = "30s" }
}

case "an image cannot name the profiles of others" {
  label   = "db"
  expect  = "deny"
  rule    = "shared-host"
  message = "allows only \"web\", \"web-*\""
}

case "an image cannot bring a profile of its own" {
  label  = "machine { cpus = 2 }"
  expect = "deny"
}

case "an image's environment counts as the image" {
  image_variables = { RUNCVM_NETWORK_MODE = "none" }
  expect          = "deny"
  message         = "the image's own environment"
}

case "who runs the container may do the same" {
  variables = { RUNCVM_NETWORK_MODE = "none" }
  expect    = "allow"
  values    = { "network.mode" = "none" }
}

case "nobody chooses a kernel" {
  variables = { RUNCVM_KERNEL = "debian/latest" }
  expect    = "deny"
  message   = "kernel.*"
}

case "nobody gets the debugging profile" {
  variables = { RUNCVM_PROFILE = "debug" }
  expect    = "deny"
}

case "memory has a limit" {
  memory = "8G"
  expect = "clamp"
  rule   = "shared-host"
  values = { "machine.memory" = "4G" }
}

case "a larger host has more" {
  memory = "8G"
  expect = "allow"
  host {
    memory = "64G"
  }
}

case "more vCPUs than CPUs are an error" {
  variables = { RUNCVM_CPUS = "9" }
  expect    = "deny"
}

case "the host's stop timeout stays" {
  variables = { RUNCVM_AGENT_STOP_TIMEOUT = "1s" }
  expect    = "clamp"
  message   = "requires the profile \"site\""
  values    = { "agent.stop_timeout" = "30s" }
}
