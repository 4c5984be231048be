# For images with a desktop, or a login on a screen, seen with a VNC client:
# docker run --label runcvm.profile=desktop-vnc -p 5900:5900. Nobody is asked for a
# password unless display.password_file names one's file. Debian's cloud kernel has
# a screen with text alone; graphics need a kernel with drivers for it, such as
# Debian's generic one: runcvm kernels add.

profile "desktop-vnc" {
  description = "A machine with a screen, keyboard, pointer and silent sound, shown by VNC"
  inherits    = ["default"]

  machine {
    memory = coalesce(container.memory, "2G")
  }

  display {
    mode = "vnc"
    vga  = "virtio"
    vnc  = 0
  }

  agent {
    # A session has much to end.
    stop_timeout = "60s"
  }
}
