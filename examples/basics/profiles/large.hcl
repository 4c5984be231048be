# docker run --label runcvm.profile=large
profile "large" {
  description = "A quarter of the host, but never less than a gibibyte"

  machine {
    # docker run -m and --cpus win over these.
    cpus   = coalesce(container.cpus, max(2, floor(host.cpus / 4)))
    memory = coalesce(container.memory, max("1G", size(bytes(host.memory) / 4)))
  }
}
