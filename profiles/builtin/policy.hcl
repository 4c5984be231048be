# What holds where the host's own policies say nothing: a host's policy with a
# label block that has allow replaces the label block here, one with a variable block the
# variable block, and one with a limit the limit of the same attribute.

policy "built-in" {
  description = "An image asks for the shape of its own virtual machine and for nothing else"

  # The image is not trusted. What it may set has its effect within the machine;
  # an attribute that is not here is for the host and for who runs the container.
  # A variable feeds the expressions of the host's own profiles.
  label {
    allow = [
      "machine.type", "machine.accel", "machine.cpu_model", "machine.cpus", "machine.memory",
      "kernel.source", "kernel.distribution", "kernel.version", "kernel.append",
      "kernel.modules", "kernel.debug",
      "firmware.type", "firmware.debug", "machine.usb", "display.mode", "display.vga", "display.vnc",
      "rootfs.type", "rootfs.cache", "rootfs.read_only", "rootfs.submounts", "volumes.cache",
      "network.mode", "network.model", "network.mtu", "network.queues", "network.ports", "network.slots",
      "nic.model", "nic.mtu", "nic.queues",
      "disk.source", "disk.target", "disk.fs", "disk.size", "disk.cache", "disk.aio", "disk.discard", "disk.queues", "disk.iothread",
      "init.mode", "init.system", "init.exit_code", "cgroupfs.mode",
      "agent.boot_timeout", "agent.stop_timeout",
      "debug.qemu",
    ]
    # These give the guest more of the host's kernel, or take its processors; those
    # of the kernel and the password's are files of the host; sockets lead to its programs;
    # PCI devices are the host's own, memory is set aside for one machine; the log of debug.runtime is one that stays, and a
    # breakpoint waits for who has the host.
    deny = [
      "machine.nested", "kvm.kernel_irqchip", "kvm.lost_tick_policy", "kvm.halt_poll", "kvm.hint_dedicated", "kvm.pmu",
      "security.sys_admin", "network.vhost", "nic.vhost", "agent.transport", "var.*",
      "kernel.image", "kernel.initramfs", "kernel.modules_dir", "display.password_file",
      "machine.max_cpus", "machine.max_memory", "machine.memory_backend", "machine.prealloc", "machine.cpu_features", "machine.vfio",
      "debug.runtime", "debug.breakpoints", "volumes.sockets",
    ]
  }

  # Who may run a container on this host may mount its root directory as well.
  variable {
  }

  limit "machine.cpus" {
    max = host.cpus > 0 ? host.cpus : null
  }

  limit "machine.max_cpus" {
    max = host.cpus > 0 ? host.cpus : null
  }

  limit "machine.memory" {
    max = bytes(host.memory) >= bytes("1M") ? host.memory : null
  }

  limit "machine.max_memory" {
    max = bytes(host.memory) >= bytes("1M") ? host.memory : null
  }
}
