package supervisor

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/runcvm/runcvm/engine/plan"
)

// exitFile is the exit code that the application leaves in plan.ExitFile.
type exitFile struct{ before fileState }

// fileState tells one state of a file from another: the kernel of the host sets
// the time of a change.
type fileState struct {
	there   bool
	inode   uint64
	changed syscall.Timespec
	size    int64
}

func stateOf(info fs.FileInfo) fileState {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileState{}
	}
	return fileState{there: true, inode: st.Ino, changed: st.Ctim, size: st.Size}
}

// note remembers the file of an earlier run, or of the image, which says
// nothing of this one.
func (e *exitFile) note() {
	root, err := os.OpenRoot(plan.RootMount)
	if err != nil {
		return
	}
	defer root.Close()
	if info, err := root.Lstat(plan.ExitFile[1:]); err == nil {
		e.before = stateOf(info)
	}
}

// read returns the code that was left in this run, in the file's first line.
func (e *exitFile) read() (code int, left bool, err error) {
	root, err := os.OpenRoot(plan.RootMount)
	if err != nil {
		return 0, false, err
	}
	defer root.Close()
	info, err := root.Lstat(plan.ExitFile[1:])
	if err != nil || !info.Mode().IsRegular() || stateOf(info) == e.before {
		return 0, false, nil
	}
	f, err := root.Open(plan.ExitFile[1:])
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	line := make([]byte, 64)
	n, _ := f.Read(line)
	text, _, _ := strings.Cut(string(line[:n]), "\n")
	code, err = strconv.Atoi(strings.TrimSpace(text))
	if err != nil || code < 0 || code > 255 {
		return 0, false, fmt.Errorf("%s holds %q, which is no exit code from 0 to 255", plan.ExitFile, text)
	}
	return code, true, nil
}

// leftCode is the container's exit code: the entrypoint's, unless the
// application has left another.
func (s *Supervisor) leftCode(code int) int {
	if !s.plan.Init.ExitCode {
		return code
	}
	other, left, err := s.exitFile.read()
	if err != nil {
		s.log.Warn("exit code", "error", err)
	}
	if !left {
		return code
	}
	s.log.Debug("the application left an exit code", "code", other, "entrypoint", code)
	return other
}
