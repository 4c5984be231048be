package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/terminal"
	"github.com/runcvm/runcvm/runtime/oci"
)

// globals are the options that stand before the verb: runc's, which are handed
// on, and our own.
type globals struct {
	set *pflag.FlagSet // all of them
	own *pflag.FlagSet // those that runc does not know

	root, log, logFormat string
	runtime              string
	prefix, profilesDir  string
	patchesDir           string
	runDir               string
}

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
	g.own = pflag.NewFlagSet("runcvm", pflag.ContinueOnError)
	g.own.StringVar(&g.runtime, "runtime", "", "OCI runtime below this one: a name or a `PATH` (default: runc in $PATH)")
	g.own.StringVar(&g.prefix, "prefix", oci.DefaultPrefix, "`DIR` that RunCVM is installed in")
	g.own.StringVar(&g.profilesDir, "profiles-dir", oci.DefaultProfilesDir, "`DIR` of this host's profiles")
	g.own.StringVar(&g.patchesDir, "patches-dir", "", "`DIR` of this host's patches (default: \"patches\" beside --profiles-dir)")
	g.own.StringVar(&g.runDir, "run-dir", oci.DefaultRunDir, "`DIR` of the running containers' state")
	f.AddFlagSet(g.own)
}

// takesValue says whether arg is a global option, in either dash form, whose
// value is the next argument.
func (g *globals) takesValue(arg string) bool {
	if !strings.HasPrefix(arg, "-") {
		return false
	}
	f := g.set.Lookup(strings.TrimLeft(arg, "-"))
	return f != nil && f.NoOptDefVal == ""
}

// runcArgs are the global options for runc, as they were given.
func (g *globals) runcArgs() []string {
	var args []string
	// Visit would see nothing: cobra parses into a set that shares the flags.
	g.set.VisitAll(func(f *pflag.Flag) {
		if f.Changed && g.own.Lookup(f.Name) == nil {
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
		Prefix: g.prefix, ProfilesDir: g.profilesDir, PatchesDir: g.patchesDir, RunDir: g.runDir, Warn: g.warn,
	}, nil
}

// reportError shows err: to people in full on stderr, to a container engine as
// one line of the log that it asked for.
func (g *globals) reportError(err error) {
	var diags diag.Diagnostics
	if errors.As(err, &diags) {
		fmt.Fprint(os.Stderr, terminal.StyleOf(os.Stderr).Diagnostics(diags))
	} else {
		fmt.Fprintf(os.Stderr, "runcvm: %v\n", err)
	}
	g.logLine(slog.LevelError, diag.OneLine(err))
}

// warn reports something of the plan that a VM does not honour as asked: in the
// engine's log, or on the terminal of who runs a bundle by hand.
func (g *globals) warn(w plan.Warning) {
	line := w.Summary + ": " + w.Detail
	if g.log == "" {
		fmt.Fprintf(os.Stderr, "runcvm: warning: %s\n", line)
		return
	}
	g.logLine(slog.LevelWarn, line)
}

// logLine appends a line to the log that --log names.
func (g *globals) logLine(level slog.Level, line string) {
	if g.log == "" {
		return
	}
	file, err := os.OpenFile(g.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		fmt.Fprintf(os.Stderr, "runcvm: open the log: %v\n", err)
		return
	}
	defer file.Close()
	var handler slog.Handler = slog.NewTextHandler(file, nil)
	if g.logFormat == "json" {
		handler = slog.NewJSONHandler(file, &slog.HandlerOptions{ReplaceAttr: logrusLevel})
	}
	slog.New(handler).Log(context.Background(), level, line)
}

// logrusLevel writes levels as logrus does: containerd's runc shim looks for
// "level":"error" to find the error to show.
func logrusLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.LevelKey {
		level := strings.ToLower(a.Value.String())
		if level == "warn" {
			level = "warning"
		}
		a.Value = slog.StringValue(level)
	}
	return a
}
