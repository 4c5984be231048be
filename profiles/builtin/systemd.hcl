# For images whose entrypoint is systemd: docker run --label runcvm.profile=systemd.
# Such an image boots with the default profile, too, which sees what its
# entrypoint is. This one says so for entrypoints that only lead to it, such as
# a script that ends in "exec /sbin/init", and has room for services.

profile "systemd" {
  description = "An image that boots systemd as the machine's own init"
  inherits    = ["default"]

  machine {
    memory = coalesce(container.memory, "1G")
  }

  init {
    mode   = "exec"
    system = "systemd"
  }

  cgroupfs {
    mode = "systemd"
  }

  agent {
    # systemd gives each service 90 seconds to stop.
    stop_timeout = "120s"
  }
}
