patch "patient-boots" {
  when   = !host.kvm && profile.machine.cpus > 2
  reason = "Machines of this size start many at once here, and without KVM they wait for each other."

  set {
    agent {
      boot_timeout = "10m"
    }
  }
}
