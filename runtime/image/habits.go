package image

import (
	"bytes"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/imagefs"
)

// maxScript bounds the entrypoint's script in bytes: a larger one is not looked
// into.
const maxScript = 1 << 20

// ExitHabits says whether the image below root gives exit codes in the ways of
// plan.ExitPrograms: it has one of the folders, or its entrypoint, the file
// program, is a script that names one. What cannot be read names nothing.
func ExitHabits(root, program string) bool {
	tree, err := imagefs.Open(root)
	if err != nil {
		return false
	}
	defer tree.Close()
	for _, folder := range plan.ExitFolders {
		if info, err := tree.Stat(folder); err == nil && info.IsDir() {
			return true
		}
	}
	if program == "" {
		return false
	}
	script, err := tree.ReadFile(program, maxScript)
	return err == nil && bytes.HasPrefix(script, []byte("#!")) && plan.NamesExitPath(string(script))
}
