package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Exit codes of a process that cannot be started, as shells and Docker use
// them.
const (
	codeNotFound      = 127
	codeNotExecutable = 126
)

// defaultPath is where programs are looked for when the environment does not
// say: Docker's own default.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// errNotFound is the text of os/exec, which Docker looks for.
var errNotFound = errors.New("executable file not found in $PATH")

// lookPath finds the program as runc does, by the process's own PATH and
// rights. Messages and codes are those of runc and Docker.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if err := executable(name); err != nil {
			return "", programError(name, err)
		}
		return name, nil
	}
	path, _ := getenv(env, "PATH")
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			dir = "." // as a shell
		}
		candidate := filepath.Join(dir, name)
		if name != "" && executable(candidate) == nil {
			if !filepath.IsAbs(candidate) {
				return "", programError(name, errors.New("cannot run executable found relative to current directory"))
			}
			return candidate, nil
		}
	}
	return "", programError(name, errNotFound)
}

// executable says whether the caller may execute the file.
func executable(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	// Of a directory, runc says this and not EISDIR.
	if !st.Mode().IsRegular() {
		return fs.ErrPermission
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
		if err == unix.EACCES {
			return fs.ErrPermission
		}
		return err
	}
	return nil
}

func programError(name string, err error) error {
	return &startError{Code: programCode(err), Message: "exec: " + strconv.Quote(name) + ": " + err.Error()}
}

func programCode(err error) int {
	switch {
	case errors.Is(err, errNotFound), errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return codeNotFound
	case errors.Is(err, fs.ErrPermission):
		return codeNotExecutable
	}
	return 1
}

// execError is the error of execve itself, in the words that runc prints.
func execError(path string, err error) error {
	return &startError{Code: programCode(err), Message: fmt.Sprintf("exec %s: %v", path, err)}
}

// environment is the process's environment with what a runtime adds: HOME, from
// the image's /etc/passwd, and a PATH.
func environment(env []string, uid uint32) []string {
	env = append([]string(nil), env...)
	if _, ok := getenv(env, "PATH"); !ok {
		env = append(env, "PATH="+defaultPath)
	}
	if home, ok := getenv(env, "HOME"); !ok || home == "" {
		env = append(withoutEmpty(env, "HOME"), "HOME="+homeOf("/etc/passwd", uid))
	}
	return env
}

func getenv(env []string, name string) (string, bool) {
	value, found := "", false
	for _, e := range env {
		if k, v, ok := strings.Cut(e, "="); ok && k == name {
			value, found = v, true
		}
	}
	return value, found
}

func withoutEmpty(env []string, name string) []string {
	kept := env[:0]
	for _, e := range env {
		if e != name+"=" {
			kept = append(kept, e)
		}
	}
	return kept
}

// homeOf is the home directory of the first user with the ID in a file like
// /etc/passwd; "/" when there is none.
func homeOf(passwd string, uid uint32) string {
	body, err := os.ReadFile(passwd)
	if err != nil {
		return "/"
	}
	want := strconv.FormatUint(uint64(uid), 10)
	for line := range strings.Lines(string(body)) {
		fields := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(fields) >= 6 && fields[2] == want {
			if fields[5] == "" {
				return "/"
			}
			return fields[5]
		}
	}
	return "/"
}
