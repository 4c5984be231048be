// Command runcvm-guest is the first process of the VM, and, with the argument
// "child", the beginning of each process of the container.
package main

import (
	"os"

	"github.com/runcvm/runcvm/guest/agent"
	"github.com/runcvm/runcvm/guest/initd"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == agent.ChildArg {
		agent.Stage()
		return
	}
	initd.Main()
}
