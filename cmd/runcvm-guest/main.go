// Command runcvm-guest is the first process of the VM, and, with the argument
// "child", the beginning of each process of the container; with "beside", the
// agent of a VM whose first process is the image's own init. The kernel calls
// it as modprobe, and images that know it as qemu-exit.
package main

import (
	"os"
	"path/filepath"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/initd"
)

func main() {
	switch filepath.Base(os.Args[0]) {
	case initd.ModprobeName:
		os.Exit(initd.Modprobe(os.Args[1:]))
	case agent.ExitProgram:
		os.Exit(agent.Exit(os.Args[1:]))
	}
	arg := ""
	if len(os.Args) > 1 {
		arg = os.Args[1]
	}
	switch arg {
	case agent.ChildArg:
		agent.Stage()
	case initd.BesideArg:
		initd.Beside()
	default:
		initd.Main()
	}
}
