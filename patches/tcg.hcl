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
