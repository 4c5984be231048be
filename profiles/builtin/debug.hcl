profile "debug" {
  description = "The guest's kernel says all that it does, into the container's supervisor.log, and has time to"

  kernel {
    append = ["ignore_loglevel", "printk.time=1", "log_buf_len=4M"]
  }

  agent {
    boot_timeout = "10m"
    stop_timeout = "1m"
  }
}
