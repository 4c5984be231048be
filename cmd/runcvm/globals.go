package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/runtime/oci"
)

// globals are the options that stand before the verb: runc's, which are handed
// on, and our own.
type globals struct {
	set *pflag.FlagSet

	root, log, logFormat string
	runtime              string
	prefix, profilesDir  string
	runDir               string
}

// ownGlobals are the options that runc does not know.
var ownGlobals = map[string]bool{"runtime": true, "prefix": true, "profiles-dir": true, "run-dir": true}

func (g *globals) flags(c *cobra.Command) {
	f := c.PersistentFlags()
	g.set = f
	f.StringVar(&g.root, "root", oci.DefaultRoot, "folder of the container states, runc's `DIR`")
	f.StringVar(&g.log, "log", "", "write errors to `FILE` as well")
	f.StringVar(&g.logFormat, "log-format", "text", "format of the log: text or json")
	f.Bool("debug", false, "debug output of runc")
	f.Bool("systemd-cgroup", false, "let systemd manage the container's cgroup")
	f.String("criu", "", "")
	f.String("rootless", "auto", "")
	_ = f.MarkHidden("criu")
	_ = f.MarkHidden("rootless")
	f.StringVar(&g.runtime, "runtime", "", "OCI runtime below this one: a name or a `PATH` (default: runc in $PATH)")
	f.StringVar(&g.prefix, "prefix", oci.DefaultPrefix, "`DIR` that RunCVM is installed in")
	f.StringVar(&g.profilesDir, "profiles-dir", oci.DefaultProfilesDir, "`DIR` of this host's profiles")
	f.StringVar(&g.runDir, "run-dir", oci.DefaultRunDir, "`DIR` of the running containers' state")
}

// takesValue says whether arg is a global option, in either dash form, whose
// value is the next argument.
func takesValue(arg string) bool {
	switch strings.TrimLeft(arg, "-") {
	case "root", "log", "log-format", "criu", "rootless", "runtime", "prefix", "profiles-dir", "run-dir":
		return strings.HasPrefix(arg, "-")
	}
	return false
}

// runcArgs are the global options for runc, as they were given.
func (g *globals) runcArgs() []string {
	var args []string
	g.set.Visit(func(f *pflag.Flag) {
		if !ownGlobals[f.Name] && f.Name != "help" && f.Name != "version" {
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return args
}

// ociRuntime is the runtime with these options.
func (g *globals) ociRuntime() (*oci.Runtime, error) {
	runc, err := oci.FindRunc(g.runtime)
	if err != nil {
		return nil, err
	}
	return &oci.Runtime{
		Runc: runc, GlobalArgs: g.runcArgs(), Root: g.root,
		Prefix: g.prefix, ProfilesDir: g.profilesDir, RunDir: g.runDir,
	}, nil
}

// reportError shows err: to people in full on stderr, to a container engine as
// one line of the log that it asked for.
func (g *globals) reportError(err error) {
	fmt.Fprintln(os.Stderr, strings.TrimRight(diag.Render(err), "\n"))
	if g.log == "" {
		return
	}
	file, ferr := os.OpenFile(g.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if ferr != nil {
		fmt.Fprintf(os.Stderr, "runcvm: open the log: %v\n", ferr)
		return
	}
	defer file.Close()
	var handler slog.Handler = slog.NewTextHandler(file, nil)
	if g.logFormat == "json" {
		handler = slog.NewJSONHandler(file, &slog.HandlerOptions{ReplaceAttr: lowerLevel})
	}
	slog.New(handler).Error(diag.OneLine(err))
}

// lowerLevel writes levels as logrus does: containerd's runc shim looks for
// "level":"error" to find the error to show.
func lowerLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.LevelKey {
		a.Value = slog.StringValue(strings.ToLower(a.Value.String()))
	}
	return a
}
