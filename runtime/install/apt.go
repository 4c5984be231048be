package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// debianKeyring signs every release of Debian; package debian-archive-keyring.
const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// apt is a private instance of APT: its own lists, cache and empty dpkg status,
// so that it resolves whole closures and neither sees nor touches what is
// installed on the host. Of the host it takes the mirror and how to reach it
// (Acquire: proxies, certificates, retries).
type apt struct {
	dir    string // holds everything of this instance
	config string
}

// debFile is one package of a resolved set.
type debFile struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	File    string `json:"file"` // in the archives' folder
	Size    int64  `json:"size"` // bytes, packed
}

func newApt(ctx context.Context, dir, suite string) (*apt, error) {
	a := &apt{dir: dir, config: filepath.Join(dir, "apt.conf")}
	for _, sub := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, fmt.Errorf("apt-get was not found: QEMU and the kernel are taken from Debian packages, which needs a Debian host: %w", err)
	}
	mirrors, err := hostMirrors(ctx, suite)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string]string{
		"status":       "",
		"sources.list": mirrors.sourcesList(suite),
		"apt.conf":     a.configuration(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *apt) configuration() string {
	return fmt.Sprintf(`Dir::State "%[1]s";
Dir::State::lists "%[1]s/lists";
Dir::State::status "%[1]s/status";
Dir::State::extended_states "%[1]s/extended_states";
Dir::Cache "%[1]s";
Dir::Cache::archives "%[1]s/archives";
Dir::Log "%[1]s/log";
Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Architecture "amd64";
APT::Default-Release "";
APT::Get::AllowUnauthenticated "false";
#clear APT::Architectures;
APT::Architectures { "amd64"; };
#clear APT::Update;
#clear APT::Install;
#clear DPkg;
`, a.dir)
}

func (a *apt) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, append([]string{"-c", a.config, "-q"}, args...)...)
	cmd.Dir = filepath.Join(a.dir, "archives")
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return cmd
}

func (a *apt) update(ctx context.Context) error {
	// Without the option, apt-get update succeeds when a mirror does not answer.
	_, err := run(ctx, a.command(ctx, "apt-get", "update", "--error-on=any"))
	return err
}

// resolve returns what installing the packages on an empty system would need,
// sorted by name.
func (a *apt) resolve(ctx context.Context, packages []string) ([]debFile, error) {
	files, err := a.uris(ctx, append([]string{"install", "-y"}, packages...))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b debFile) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

// file returns one package without what it depends on.
func (a *apt) file(ctx context.Context, name, version string) (debFile, error) {
	files, err := a.uris(ctx, []string{"download", name + "=" + version})
	if err != nil {
		return debFile{}, err
	}
	return files[0], nil
}

// uris returns the files, at least one, that an apt-get command would fetch.
func (a *apt) uris(ctx context.Context, args []string) ([]debFile, error) {
	// Apt leaves out what it finds among the archives, or in the current folder.
	empty, err := os.MkdirTemp(a.dir, "empty-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(empty)
	cmd := a.command(ctx, "apt-get", append([]string{"--print-uris", "-o", "Dir::Cache::archives=" + empty}, args...)...)
	cmd.Dir = empty
	out, err := run(ctx, cmd)
	if err != nil {
		return nil, err
	}
	var files []debFile
	for line := range strings.Lines(string(out)) {
		// 'URI' file size hash
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.HasPrefix(line, "'") || !strings.HasSuffix(fields[1], ".deb") {
			continue
		}
		f, err := parseDebName(fields[1])
		if err != nil {
			return nil, err
		}
		if f.Size, err = strconv.ParseInt(fields[2], 10, 64); err != nil {
			return nil, fmt.Errorf("apt-get gives the size of %s as %q", f.File, fields[2])
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, &commandError{args: cmd.Args, output: out, err: errors.New("no package is named in its output")}
	}
	return files, nil
}

// parseDebName takes name_version_arch.deb apart. In it, apt writes the colon
// of a version as %3a.
func parseDebName(file string) (debFile, error) {
	parts := strings.Split(strings.TrimSuffix(file, ".deb"), "_")
	if len(parts) != 3 || file != filepath.Base(file) {
		return debFile{}, fmt.Errorf("apt-get names a package file %q, which is not of the form name_version_architecture.deb", file)
	}
	version, err := url.PathUnescape(parts[1])
	if err != nil {
		return debFile{}, fmt.Errorf("package file %q: %w", file, err)
	}
	return debFile{Name: parts[0], Version: version, File: file}, nil
}

// kernel returns the package on which the metapackage depends, as name and
// version.
func (a *apt) kernel(ctx context.Context, metapackage string) (name, version string, err error) {
	out, err := run(ctx, a.command(ctx, "apt-cache", "show", "--no-all-versions", metapackage))
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(out)) {
		depends, ok := strings.CutPrefix(line, "Depends:")
		if !ok {
			continue
		}
		for d := range strings.SplitSeq(depends, ",") {
			// linux-image-6.1.0-9-cloud-amd64 (= 6.1.27-1)
			fields := strings.Fields(strings.NewReplacer("(", " ", ")", " ").Replace(d))
			if len(fields) == 3 && fields[1] == "=" && strings.HasPrefix(fields[0], "linux-image-") {
				return fields[0], fields[2], nil
			}
		}
	}
	return "", "", fmt.Errorf("the metapackage %s does not name a kernel package of one version", metapackage)
}

// download gets the files of a resolved set; those that are there already, and
// whole, are not fetched again.
func (a *apt) download(ctx context.Context, files []debFile) error {
	args := []string{"download"}
	for _, f := range files {
		args = append(args, f.Name+"="+f.Version)
	}
	if _, err := run(ctx, a.command(ctx, "apt-get", args...)); err != nil {
		return err
	}
	for _, f := range files {
		if _, err := os.Stat(a.archive(f)); err != nil {
			return fmt.Errorf("apt-get download succeeded without a file: %w", err)
		}
	}
	return a.prune(files)
}

func (a *apt) archive(f debFile) string { return filepath.Join(a.dir, "archives", f.File) }

// prune removes packages of earlier sets.
func (a *apt) prune(keep []debFile) error {
	entries, err := os.ReadDir(filepath.Join(a.dir, "archives"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".deb") && !slices.ContainsFunc(keep, func(f debFile) bool { return f.File == e.Name() }) {
			if err := os.Remove(filepath.Join(a.dir, "archives", e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
