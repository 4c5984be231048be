# Each line with a mistake names the summary of its diagnostic.
colour = "red" # ERROR: Unsupported attribute

machine {} # ERROR: Unsupported block
profil "x" {} # ERROR: Unsupported block

profile {} # ERROR: Block without a name
profile "a" "b" {} # ERROR: Block without a name
profile "no spaces" {} # ERROR: Invalid name

profile "header" {
  description = 3 # ERROR: Wrong type of value
  inherits    = "base" # ERROR: Wrong type of value
  machine     = {} # ERROR: Unsupported attribute
  cpus        = 2 # ERROR: Unsupported attribute
}

profile "inherits" {
  description = host.arch # ERROR: Not a constant
  inherits    = ["a", 3, host.arch] # ERROR: Wrong type of value # ERROR: Wrong type of value
}

profile "blocks" {
  machine "m" { # ERROR: Unexpected name
    cpus = 1
    disk {} # ERROR: Unsupported block
    memory {} # ERROR: Unsupported block
  }
  machine {} # ERROR: Duplicate block
  machin {} # ERROR: Unsupported block
  network {
    append = [] # ERROR: Unsupported attribute
    mod    = "auto" # ERROR: Unsupported attribute
  }
}

profile "references" {
  machine {
    accel  = tcg # ERROR: Unknown variable
    cpus   = hots.cpus # ERROR: Unknown variable
    memory = container # ERROR: Incomplete variable
  }
  kernel {
    version = image.label # ERROR: Unknown variable
    append  = [var.x, host["cpus"]] # ERROR: Unknown variable # ERROR: Unknown variable
  }
}

profile "types" {
  machine {
    accel  = true # ERROR: Wrong type of value
    cpus   = "2" # ERROR: Wrong type of value
    memory = 512 # ERROR: Size without a unit
    nested = "true" # ERROR: Wrong type of value
  }
  kvm {
    pmu            = yes # ERROR: Unknown variable
    hint_dedicated = 1 # ERROR: Wrong type of value
  }
  network {
    vhost = true # ERROR: Wrong type of value
  }
  kernel {
    distribution = 12 # ERROR: Wrong type of value
    append       = "quiet" # ERROR: Wrong type of value
  }
  agent {
    boot_timeout = 60 # ERROR: Duration without a unit
    stop_timeout = ["60s"] # ERROR: Wrong type of value
  }
}

profile "values" {
  machine {
    accel  = "kvn" # ERROR: Value not allowed
    cpus   = 1.5 # ERROR: Not a whole number
    memory = "1GB" # ERROR: Invalid size
  }
  kernel {
    distribution = "../debian" # ERROR: Value out of range
    version      = "" # ERROR: Value out of range
    append       = ["a", ""] # ERROR: Value out of range
  }
  agent {
    boot_timeout = "soon" # ERROR: Invalid duration
    stop_timeout = "0s" # ERROR: Value out of range
  }
}

profile "ranges" {
  machine {
    cpus   = 256 # ERROR: Value out of range
    memory = "1K" # ERROR: Value out of range
  }
  kernel {
    append = ["a\nb"] # ERROR: Value out of range
  }
  agent {
    boot_timeout = "2h" # ERROR: Value out of range
  }
}

profile "elements" {
  machine {
    cpus   = 1e30 # ERROR: Not a whole number
    memory = ["1G"] # ERROR: Wrong type of value
  }
  kernel {
    append = ["a", 1] # ERROR: Wrong type of value
  }
}

profile "functions" {
  machine {
    accel  = shout("tcg") # ERROR: Call to unknown function
    cpus   = min(1, "2") # ERROR: Invalid function argument
    memory = max("1G", "2") # ERROR: Invalid function argument
  }
  kernel {
    append = [image.labels["none"]] # ERROR: Invalid index
  }
}

patch "no-when" { # ERROR: Incomplete patch
  reason = "because"
  set {
    machine {
      cpus = 1
    }
  }
}

patch "no-set" { # ERROR: Incomplete patch # ERROR: Incomplete patch
  when = true
}

patch "references" {
  reason = "because"
  when   = profile.machine.acel == "tcg" # ERROR: Unknown variable
  set {
    cpus = 2 # ERROR: Unsupported attribute
    machin {} # ERROR: Unsupported block
    kernel {
      append = profile.kernel # ERROR: Unknown variable
    }
  }
  machine {} # ERROR: Unsupported block
  set {} # ERROR: Duplicate block
  whem = 1 # ERROR: Unsupported attribute
}

policy "mistakes" {
  description = "what can be wrong"
  denny       = [] # ERROR: Unsupported attribute
  label {
    allow  = ["machin.*", "machine"] # ERROR: Unknown attribute # ERROR: Unknown attribute
    deny   = "machine.cpus" # ERROR: Wrong type of value
    inline = "no" # ERROR: Wrong type of value
    profiles = ["[a"] # ERROR: Invalid pattern
  }
  label {} # ERROR: Duplicate block
  lable {} # ERROR: Unsupported block
  limit "machine.memory" {
    max    = container.memory # ERROR: Unknown variable
    action = "drop" # ERROR: Value not allowed
  }
  limit "machine.cpus" {} # ERROR: Limit without a bound
  limit "machine.accel" { # ERROR: Not an attribute with a limit
    max = 1
  }
  limit { # ERROR: Block without a name
    max = 1
  }
}

variable "tier" {
  type    = "text" # ERROR: Value not allowed
  default = "tiny" # ERROR: Value not allowed
  allowed = ["small", "large"]
}
variable "count" {
  type    = "number"
  default = "many" # ERROR: Wrong type of value
}
variable "a.b" {} # ERROR: Invalid name
variable "computed" {
  default = host.cpus # ERROR: Not a constant
}

locals {
  size = hosts.memory # ERROR: Unknown variable
  block {} # ERROR: Unsupported block
}
