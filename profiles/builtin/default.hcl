# What every machine is made of unless something else is asked for. The order,
# later wins: this profile, the host's own "default" in /etc/runcvm/profiles/,
# the profiles that the image's label names, docker's flags.
#
# An expression sees container.* (the limits that docker run was given; null
# when there is none), host.* and image.labels.

profile "default" {
  description = "A small headless machine with the image as its root file system"

  machine {
    type = "q35"

    # KVM where it is of use, else translation in software.
    accel = "auto"

    # docker run --cpus and --cpuset-cpus, rounded up to whole vCPUs.
    cpus = coalesce(container.cpus, 1)

    # No more than these while the machine runs.
    max_cpus = 0

    # docker run --memory is the machine's RAM; what QEMU itself needs comes on
    # top of it.
    memory = coalesce(container.memory, "512M")

    # It does not grow while the machine runs.
    max_memory = "0B"

    memory_backend = "memfd"
    prealloc       = false

    # The host's processor under KVM, else all that can be translated.
    cpu_model    = "auto"
    cpu_features = []

    # PCI devices of the host.
    vfio = []

    # No virtual machines within the machine.
    nested = false

    # Nothing is attached, and the guest would look for it.
    usb = false
  }

  kvm {
    kernel_irqchip   = "on"
    lost_tick_policy = "delay"
    halt_poll        = "host"
    hint_dedicated   = false
    pmu              = false
  }

  kernel {
    # The image's own, that of its distribution, or Debian's.
    source       = "auto"
    distribution = "auto"
    version      = "latest"

    # Files of the host instead.
    image       = ""
    initramfs   = ""
    modules_dir = ""

    append  = []
    modules = "auto"
    debug   = false
  }

  firmware {
    type  = "seabios"
    debug = false
  }

  display {
    # The entrypoint's streams are all that there is to see.
    mode = "headless"

    # With a VNC server: an adapter, the server's number, its password's file.
    vga           = "auto"
    vnc           = -1
    password_file = ""
  }

  rootfs {
    # The root belongs to this machine alone. What the host changes in it is seen
    # within a second.
    type  = "virtiofs"
    cache = "always"

    # docker run --read-only, whatever stands here, makes it so as well.
    read_only = false
    submounts = true
  }

  volumes {
    # That of the root. Volumes that several machines write to want "auto" or
    # "none".
    cache = "rootfs"

    # A socket of the host, as docker run --volume names it, can be connected to.
    sockets = "relay"
  }

  network {
    # The interfaces of the container, by traffic control where the host's kernel
    # has it.
    mode   = "auto"
    model  = "virtio"
    vhost  = "auto"
    queues = 0
    mtu    = 0
    ports  = []

    # Networks that are connected while the machine runs.
    slots = 1
  }

  init {
    # An init, such as systemd, becomes the machine's PID 1.
    mode   = "auto"
    system = "auto"

    # /.runcvm/exitcode and qemu-exit, where the image knows them.
    exit_code = "auto"
  }

  cgroupfs {
    # Left to systemd where that is the entrypoint.
    mode = "auto"
  }

  security {
    # What CAP_SYS_ADMIN allows, a container is not to have unless asked for.
    sys_admin = false
  }

  agent {
    # The host's kernel carries the streams where it can, else QEMU.
    transport = "auto"

    # A boot takes 3 seconds in software translation on an idle machine; many at
    # once on a busy one take much longer.
    boot_timeout = "120s"
    stop_timeout = "10s"
  }

  debug {
    runtime     = false
    qemu        = false
    breakpoints = []
  }
}
