package plan

import "strings"

// How images give an exit code that were made for a runtime which knew none: a
// program writes it into ExitFile, or calls one of ExitPrograms with it.
const ExitFile = "/.runcvm/exitcode"

// ExitPrograms are the paths of the program qemu-exit.
var ExitPrograms = []string{"/.runcvm/guest/sbin/qemu-exit", "/opt/runcvm/sbin/qemu-exit"}

// ExitFolders are the folders that only such images have.
var ExitFolders = []string{"/.runcvm", "/opt/runcvm"}

// NamesExitPath says whether a text, such as a command, names one of these.
func NamesExitPath(text string) bool {
	for _, folder := range ExitFolders {
		if strings.Contains(text, folder+"/") {
			return true
		}
	}
	return false
}
