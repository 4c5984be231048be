package install

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// mirrors are the archives that the host itself uses.
type mirrors struct {
	main     string // of the releases
	security string // of their security updates; empty when the host has none
}

// releases are the names that a sources.list may give Debian's main archive.
var releases = []string{
	"oldoldstable", "oldstable", "stable", "testing", "unstable",
	"bullseye", "bookworm", "trixie", "forky", "duke", "sid",
}

// hostMirrors asks the host's own apt for the archives of Debian that it is
// configured with. Lists need not have been fetched.
func hostMirrors(ctx context.Context, suite string) (mirrors, error) {
	cmd := exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(RELEASE)\t$(REPO_URI)\t$(COMPONENT)\t$(ORIGIN)", "Created-By: Packages")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := run(ctx, cmd)
	if err != nil {
		return mirrors{}, err
	}
	m := parseMirrors(string(out))
	if m.main == "" {
		return m, fmt.Errorf("apt on this host has no source of Debian: packages of %s are fetched from the archive named in /etc/apt/sources.list or /etc/apt/sources.list.d; "+
			"add a source with a release of Debian and the component main", suite)
	}
	return m, nil
}

func parseMirrors(targets string) mirrors {
	var m mirrors
	for line := range strings.Lines(targets) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 || f[2] != "main" {
			continue
		}
		release, uri, origin := f[0], f[1], f[3]
		// Apt knows the origin only once it has fetched the lists; before, it
		// leaves the variable as it stands.
		if origin != "Debian" && origin != "$(ORIGIN)" && origin != "" {
			continue
		}
		name, security := strings.CutSuffix(release, "-security")
		switch {
		case !slices.Contains(releases, name):
		case security && m.security == "":
			m.security = uri
		case !security && m.main == "":
			m.main = uri
		}
	}
	return m
}

// sourcesList is in the one-line form of sources.list(5).
func (m mirrors) sourcesList(suite string) string {
	options := ""
	// Otherwise the keys of /etc/apt/trusted.gpg.d are tried.
	if _, err := os.Stat(debianKeyring); err == nil {
		options = "[signed-by=" + debianKeyring + "] "
	}
	list := fmt.Sprintf("deb %s%s %s main\n", options, m.main, suite)
	if m.security != "" {
		list += fmt.Sprintf("deb %s%s %s-security main\n", options, m.security, suite)
	}
	return list
}
