# Each line with a mistake names the summary of its diagnostic and a part of its
# detail; ERROR(HCL) is a mistake that only this form has.
colour = "red" # ERROR: Unsupported attribute | A file has blocks of the form: profile "name" { ... }.

machine {} # ERROR: Unsupported block | A machine block belongs into a profile: profile "name" { machine { ... } }.
profil "x" {} # ERROR: Unsupported block | Did you mean "profile"?

profile {} # ERROR(HCL): Block without a name | This one has 0.
profile "a" "b" {} # ERROR(HCL): Block without a name | This one has 2.
profile "no spaces" {} # ERROR: Invalid name | "no spaces" is not such a name.

profile "header" {
  description = 3 # ERROR: Wrong type of value | "description" is text in quotes.
  inherits    = "base" # ERROR: Wrong type of value | "inherits" is a list of texts in quotes, without variables: inherits = ["base"].
  machine     = {} # ERROR: Unsupported attribute | machine is a block: write machine { ... }.
  cpus        = 2 # ERROR: Unsupported attribute | Write it in its block: machine { cpus = ... }.
}

profile "inherits" {
  description = host.arch # ERROR: Not a constant | "description" is fixed: it cannot use variables or functions.
  inherits    = ["a", 3, host.arch] # ERROR: Wrong type of value | "inherits" is a list of texts in quotes, without variables: inherits = ["base"]. # ERROR: Wrong type of value | "inherits" is a list of texts in quotes, without variables: inherits = ["base"].
}

profile "blocks" {
  machine "m" { # ERROR(HCL): Unexpected name | write machine { ... }.
    cpus = 1
    disk {} # ERROR: Unsupported block | A machine block has no blocks of its own.
    memory {} # ERROR(HCL): Unsupported block | "memory" is an attribute: write memory = ....
  }
  machine {} # ERROR(HCL): Duplicate block | The first machine block is on line 25: put its attributes together.
  machin {} # ERROR: Unsupported block | Did you mean "machine"?
  network {
    append = [] # ERROR: Unsupported attribute | It is one of the kernel block.
    mod    = "auto" # ERROR: Unsupported attribute | Did you mean "mode"?
  }
}

profile "references" {
  machine {
    accel  = tcg # ERROR: Unknown variable | Text needs quotes: "tcg".
    cpus   = hots.cpus # ERROR: Unknown variable | Did you mean "host"?
    memory = container # ERROR: Incomplete variable | "container" is a group of variables: write one of container.cpus, container.memory
  }
  kernel {
    version = image.label # ERROR: Unknown variable | Did you mean "labels"?
    append  = [var.x, host["cpus"]] # ERROR: Unknown variable | A member of "host" is named after a dot: host.name. # ERROR: Unknown variable | Declare it: variable "x" { default = ... }.
  }
}

profile "types" {
  machine {
    accel  = true # ERROR: Wrong type of value | Write "auto", "kvm" or "tcg".
    cpus   = "2" # ERROR: Wrong type of value | Write a number without quotes, such as 2.
    memory = 512 # ERROR: Size without a unit | Write "512M" for mebibytes or "512G" for gibibytes, in quotes.
    nested = "true" # ERROR: Wrong type of value | Write true or false, without quotes.
  }
  kvm {
    pmu            = yes # ERROR(HCL): Unknown variable | Write true or false.
    hint_dedicated = 1 # ERROR: Wrong type of value | Write true or false, without quotes.
  }
  network {
    vhost = true # ERROR: Wrong type of value | Write "auto", "on" or "off".
  }
  kernel {
    distribution = 12 # ERROR: Wrong type of value | Write it in quotes.
    append       = "quiet" # ERROR: Wrong type of value | Write it in brackets, as in ["a", "b"].
  }
  agent {
    boot_timeout = 60 # ERROR: Duration without a unit | Write "60s" for seconds, in quotes.
    stop_timeout = ["60s"] # ERROR: Wrong type of value | Write it in quotes, as in "60s".
  }
}

profile "values" {
  machine {
    accel  = "kvn" # ERROR: Value not allowed | Did you mean "kvm"?
    cpus   = 1.5 # ERROR: Not a whole number | machine.cpus is a whole number; 1.5 is not, or is too large.
    memory = "1GB" # ERROR: Invalid size | The units are B, K, M, G and T, or KiB, MiB, GiB and TiB, all of them multiples of 1024.
  }
  kernel {
    distribution = "../debian" # ERROR: Value out of range | kernel.distribution must not have any of the characters "/ "; "../debian" has.
    version      = "" # ERROR: Value out of range | kernel.version must not be empty, nor have an empty element.
    append       = ["a", ""] # ERROR: Value out of range | kernel.append must not be empty, nor have an empty element.
  }
  agent {
    boot_timeout = "soon" # ERROR: Invalid duration | Write numbers with the units s, m or h, as in "60s" or "1m30s".
    stop_timeout = "0s" # ERROR: Value out of range | agent.stop_timeout is at least 1s; 0s is too small.
  }
}

profile "ranges" {
  machine {
    cpus   = 256 # ERROR: Value out of range | machine.cpus is at most 255; 256 is too large.
    memory = "1K" # ERROR: Value out of range | machine.memory is at least 1MiB; 1KiB is too small.
  }
  kernel {
    append = ["a\nb"] # ERROR: Value out of range | kernel.append has printable ASCII characters only; "a\nb" has others.
  }
  agent {
    boot_timeout = "2h" # ERROR: Value out of range | agent.boot_timeout is at most 1h0m0s; 2h0m0s is too large.
  }
}

profile "elements" {
  machine {
    cpus   = 1e30 # ERROR: Not a whole number | machine.cpus is a whole number; 1e+30 is not, or is too large.
    memory = ["1G"] # ERROR: Wrong type of value | Write it in quotes, as in "512M".
  }
  kernel {
    append = ["a", 1] # ERROR: Wrong type of value | Write each in quotes.
  }
}

profile "functions" {
  machine {
    accel  = shout("tcg") # ERROR: Call to unknown function | There is no function named "shout".
    cpus   = min(1, "2") # ERROR: Invalid function argument | Invalid value for "values" parameter: string cannot be compared with number.
    memory = max("1G", "2") # ERROR: Invalid function argument | Write "2M" for mebibytes or "2G" for gibibytes.
  }
  kernel {
    append = [image.labels["none"]] # ERROR: Invalid index | The given key does not identify an element in this collection value.
  }
}

profile "words" {
  machine {
    accel  = "off" # ERROR: Value not allowed | machine.accel is "auto", "kvm" or "tcg", not "off".
    cpus   = "yes" # ERROR: Wrong type of value | Write a number without quotes, such as 2.
    memory = "container.memory" # ERROR: Invalid size | In text, an expression stands in ${ }: "${container.memory}".
  }
  network {
    mode = { auto = true } # ERROR: Wrong type of value | Write "auto", "tc", "bridge" or "none".
  }
}

patch "no-when" { # ERROR: Incomplete patch | The patch has no attribute "when": the condition under which it applies.
  reason = "because"
  set {
    machine {
      cpus = 1
    }
  }
}

patch "no-set" { # ERROR: Incomplete patch | Write set { machine { ... } }. # ERROR: Incomplete patch | The patch has no attribute "reason": why it is there, in a sentence.
  when = true
}

patch "references" {
  reason = "because"
  when   = profile.machine.acel == "tcg" # ERROR: Unknown variable | Did you mean "machine.accel"?
  set {
    cpus = 2 # ERROR: Unsupported attribute | Write it in its block: machine { cpus = ... }.
    machin {} # ERROR: Unsupported block | Did you mean "machine"?
    kernel {
      append = profile.kernel # ERROR: Unknown variable | A value of the profile is written with its block, as in profile.machine.accel.
    }
  }
  machine {} # ERROR: Unsupported block | What it changes stands in its set block: set { machine { ... } }.
  set {} # ERROR(HCL): Duplicate block | A patch has one set block: put its blocks together.
  whem = 1 # ERROR: Unsupported attribute | Did you mean "when"?
}

policy "mistakes" {
  description = "what can be wrong"
  denny       = [] # ERROR: Unsupported attribute | A policy has no attribute "denny".
  label {
    allow  = ["machin.*", "machine"] # ERROR: Unknown attribute | No attribute matches "machin.*". # ERROR: Unknown attribute | Write "machine.*" for all of the block.
    deny   = "machine.cpus" # ERROR: Wrong type of value | "deny" is a list of texts in quotes, without variables: deny = ["machine.*"].
    inline = "no" # ERROR: Wrong type of value | "inline" is true or false, without quotes.
    profiles = ["[a"] # ERROR: Invalid pattern | A * stands for any text, a ? for one character, [a-z] for one of several.
  }
  label {} # ERROR(HCL): Duplicate block | The first label block is on line 167: put its attributes together.
  lable {} # ERROR: Unsupported block | Did you mean "label"?
  limit "machine.memory" {
    max    = container.memory # ERROR: Unknown variable | There is no variable "container" here.
    action = "drop" # ERROR: Value not allowed | "action" is "clamp" or "deny".
  }
  limit "machine.cpus" {} # ERROR: Limit without a bound | Write max = ....
  limit "machine.accel" { # ERROR: Not an attribute with a limit | A limit bounds a number, a size or a duration; "machine.accel" is none.
    max = 1
  }
  limit { # ERROR(HCL): Block without a name | This one names 0.
    max = 1
  }
}

variable "tier" {
  type    = "text" # ERROR: Value not allowed | "type" is "string", "number", "bool" or "list".
  default = "tiny" # ERROR: Value not allowed | var.tier is "small" or "large", not "tiny".
  allowed = ["small", "large"]
}
variable "count" {
  type    = "number"
  default = "many" # ERROR: Wrong type of value | The default of a variable of the type "number" is a number.
}
variable "a.b" {} # ERROR: Invalid name | "a.b" cannot follow "var." in an expression: a variable's name has letters, digits, dashes and underscores.
variable "computed" {
  default = host.cpus # ERROR: Not a constant | "default" is fixed: it cannot use variables or functions.
}

locals {
  size = hosts.memory # ERROR: Unknown variable | Did you mean "host"?
  block {} # ERROR(HCL): Unsupported block | A locals block has no blocks of its own.
}

profile "labelled" {
  disk { # ERROR(HCL): Block without a name | each with a name of its own
    size = "1G"
  }
  disk "Upper" {} # ERROR: Invalid name | small letters
  disk "empty" {} # ERROR: Empty block | Its attributes are
  disk "data" {
    size = "1G"
    fs   = "zfs" # ERROR: Value not allowed | "ext2", "ext3" or "ext4"
    file = "/x" # ERROR: Unsupported attribute
  }
  disk "data" {} # ERROR(HCL): Duplicate block | A profile has each block once # ERROR(HCL): Empty block | sets nothing
}

disk "outside" {} # ERROR: Unsupported block | A disk block belongs into a profile: profile "name" { disk "data" { ... } }.

profile "beside" {
  target = "/x" # ERROR: Unsupported attribute | Write it in its block: disk "data" { target = ... }.
  disk   = ["/x"] # ERROR: Unsupported attribute | disk is a block: write disk "data" { ... }.
}

profile "paths" {
  disk "data" {
    source = "disks/data" # ERROR: Value out of range | disk.data.source begins with "/"; "disks/data" does not.
  }
}

patch "labelled" {
  reason = "because"
  when   = profile.disk.data.size == "1G" # ERROR: Unknown variable | Values of disk blocks are not among those
  set {
    kernel {
      append = [profile.disk.size] # ERROR: Unknown variable | Values of disk blocks are not among those
    }
  }
}

policy "labelled" {
  label {
    deny = ["disk.data.size", "disk.*.size"] # ERROR: Unknown attribute | whatever their names are: "disk.size". # ERROR: Unknown attribute | whatever their names are: "disk.size".
  }
  limit "disk.data.size" { # ERROR: Not an attribute with a limit | whatever their names are: "disk.size".
    max = "1G"
  }
}
