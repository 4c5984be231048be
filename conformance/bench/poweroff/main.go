// Command poweroff is the whole user space of the benchmark's yardstick: as
// PID 1 of a virtual machine it powers it off.
package main

import "golang.org/x/sys/unix"

func main() {
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		panic(err) // PID 1's end: the kernel panics and QEMU exits
	}
}
