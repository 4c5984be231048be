# For images that run a Docker engine of their own:
# docker run --privileged --label runcvm.profile=docker. What --privileged gives, it gives
# in the machine.

profile "docker" {
  description = "Room for a Docker engine: an ext4 disk at /var/lib/docker, so that it uses overlay2, control groups and modules"
  inherits    = ["default"]

  machine {
    memory = coalesce(container.memory, "2G")
  }

  kernel {
    # bridge, veth, overlay and the firewall's are loaded when they are needed.
    modules = "version"
  }

  # A sparse file, in the volume that is mounted at /disks, else in the
  # container's own root, which goes with the container.
  disk "docker" {
    source = "/disks/docker"
    target = "/var/lib/docker"
    fs     = "ext4"
    size   = "20G"
  }

  cgroupfs {
    # Both versions, but for systemd, which mounts its own.
    mode = "auto"
  }

  agent {
    # An engine stops its containers first, for which it gives them 10 seconds.
    stop_timeout = "60s"
  }
}
