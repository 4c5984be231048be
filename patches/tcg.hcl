# Machines without KVM: every instruction of the guest is translated by the host.

patch "tcg-kernel" {
  when     = profile.machine.accel == "tcg" || profile.machine.accel == "auto" && !host.kvm
  reason   = "In software translation the guest's timers are emulated by a busy host, so that its kernel finds errors of the clock where there are none; and translated code does not run speculatively as the guest wrote it, so that the guest's own mitigations cost time and protect nothing."
  upstream = "https://docs.kernel.org/admin-guide/kernel-parameters.html"

  set {
    kernel {
      # Before the profile's own arguments, which win.
      append = concat(["tsc=reliable", "no_timer_check", "mitigations=off"], profile.kernel.append)
    }
  }
}

patch "tcg-processor" {
  when     = profile.machine.accel == "tcg" || profile.machine.accel == "auto" && !host.kvm
  reason   = "A processor with erms or fsrm moves bytes fast by one instruction, so that kernels and libraries use it for whole pages; translated code goes from byte to byte. Without them they move eight or more at a time."
  upstream = "https://gitlab.com/qemu-project/qemu/-/blob/v7.2.0/target/i386/tcg/translate.c"

  set {
    machine {
      cpu_features = concat([for f in ["erms", "fsrm"] : "-${f}" if !contains(profile.machine.cpu_features, "+${f}")], profile.machine.cpu_features)
    }
  }
}

patch "tcg-addresses" {
  when     = (profile.machine.accel == "tcg" || profile.machine.accel == "auto" && !host.kvm) && version_compare(host.qemu, "8.0") < 0
  reason   = "QEMU 7.2 translates a program and its libraries anew for each address that they are loaded at, as later ones do not, and the guest's kernel loads them at other ones each time: a short program takes two to three times as long. With sysctl.kernel.randomize_va_space=2 in kernel.append the guest has random addresses all the same."
  upstream = "https://gitlab.com/qemu-project/qemu/-/issues/2092"

  set {
    kernel {
      append = concat(["norandmaps"], profile.kernel.append)
    }
  }
}
