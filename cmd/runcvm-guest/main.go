// Command runcvm-guest is the first process of the VM, and, with the argument
// "child", the beginning of each process of the container; with "beside", the
// agent of a VM whose first process is the image's own init.
package main

import (
	"os"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/initd"
)

func main() {
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
