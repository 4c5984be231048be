package initd

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/guest/agent/rootfs"
)

// ModprobeName is the name by which the kernel calls this program when it needs
// a module: a file system, a kind of network interface, a rule of a firewall.
const ModprobeName = "modprobe"

const (
	// modprobePath is the kernel's CONFIG_MODPROBE_PATH.
	modprobePath = "/sbin/" + ModprobeName
	// moduleFolderFile holds the path of the folder of the running kernel's
	// modules.
	moduleFolderFile = "/run/modules"
)

// offerModules lets the kernel have the modules in the folder, which is "" when
// there is none. Not before: a kernel that finds a modprobe asks it for modules
// while it boots, and waits for each answer.
func offerModules(folder string) error {
	if folder == "" {
		return nil
	}
	if err := os.WriteFile(moduleFolderFile, []byte(folder), 0o644); err != nil {
		return err
	}
	return os.Symlink(rootfs.ProgramPath, modprobePath)
}

// Modprobe loads the modules of the running kernel that args, a command line
// of modprobe(8) as the kernel writes it, names, and returns the exit code. What
// went wrong is in the kernel's log.
func Modprobe(args []string) int {
	err := func() error {
		root, err := openModules()
		if err != nil {
			return err
		}
		defer root.Close()
		for _, name := range args {
			if strings.HasPrefix(name, "-") {
				continue // the kernel's -q and --
			}
			if err := probe(root, name); err != nil {
				return err
			}
		}
		return nil
	}()
	if err == nil {
		return 0
	}
	if !errors.Is(err, errNoModule) { // much of what a kernel asks for is nowhere
		kernelLog("modprobe %s: %v", strings.Join(args, " "), err)
	}
	return 1
}

// kernelLog leaves a warning in the kernel's log.
func kernelLog(format string, args ...any) {
	_ = os.WriteFile("/dev/kmsg", fmt.Appendf(nil, "<4>runcvm-guest: "+format+"\n", args...), 0)
}

// errNoModule says that no module has the name or alias.
var errNoModule = errors.New("the kernel has no such module")

func openModules() (*os.Root, error) {
	folder, err := os.ReadFile(moduleFolderFile)
	if err != nil {
		return nil, err
	}
	return os.OpenRoot(string(folder))
}

// probe loads the modules of a name or alias, and what they need.
func probe(root *os.Root, name string) error {
	needs, err := readDependencies(root)
	if err != nil {
		return err
	}
	files, err := filesOf(root, needs, name)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errNoModule
	}
	for _, file := range files {
		// The last one named is to be loaded first.
		for _, f := range slices.Backward(append([]string{file}, needs[file]...)) {
			if err := insert(root, f); err != nil {
				return fmt.Errorf("%s: %w", f, err)
			}
		}
	}
	return nil
}

// readDependencies reads modules.dep: the file of each module, and those that
// it needs. See modules.dep(5).
func readDependencies(root *os.Root) (map[string][]string, error) {
	needs := map[string][]string{}
	err := eachLine(root, "modules.dep", func(line string) {
		if file, list, ok := strings.Cut(line, ":"); ok {
			needs[file] = strings.Fields(list)
		}
	})
	return needs, err
}

// filesOf finds the modules that have the name, else those with a matching
// alias.
func filesOf(root *os.Root, needs map[string][]string, name string) ([]string, error) {
	byName := make(map[string]string, len(needs))
	for file := range needs {
		byName[kernelName(file)] = file
	}
	if file, ok := byName[kernelName(name)]; ok {
		return []string{file}, nil
	}
	var files []string
	alias := strings.ReplaceAll(name, "-", "_")
	err := eachLine(root, "modules.alias", func(line string) {
		// alias PATTERN MODULE
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "alias" {
			return
		}
		if ok, err := path.Match(dashes(f[1]), alias); ok && err == nil {
			if file, ok := byName[kernelName(f[2])]; ok && !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // no aliases
	}
	return files, err
}

// dashes makes a pattern's dashes underscores, which are the same in the names
// of modules, but for those in brackets, which are ranges.
func dashes(pattern string) string {
	if !strings.Contains(pattern, "-") {
		return pattern
	}
	out, inside := []byte(pattern), false
	for i, c := range out {
		switch {
		case c == '[':
			inside = true
		case c == ']':
			inside = false
		case c == '-' && !inside:
			out[i] = '_'
		}
	}
	return string(out)
}

// kernelName is a module's name as the kernel has it, without folder and
// suffixes.
func kernelName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// insert loads one file. That the module is there already is fine. A compressed
// one is unpacked by the kernel.
func insert(root *os.Root, file string) error {
	f, err := root.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if !strings.HasSuffix(file, ".ko") {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	if err := unix.FinitModule(int(f.Fd()), "", flags); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

func eachLine(root *os.Root, name string, f func(line string)) error {
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	s := bufio.NewScanner(file)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		f(s.Text())
	}
	return s.Err()
}
