package plan

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText shows p to people: the machine at a glance, then each attribute
// with its origin and what it beat, then warnings.
func WriteText(w io.Writer, p *Plan) error {
	digest, err := digestOf(p)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("profiles", "%s", strings.Join(p.Profiles, ", "))
	row("machine", "%s, %d vCPU, %d MiB (+%d MiB overhead), %s", p.Machine.Type, p.Machine.CPUs, p.Machine.MemoryMiB, p.Machine.OverheadMiB, p.Machine.Accel)
	row("firmware", "%s", p.Firmware.Type)
	row("kernel", "%s %s", p.Kernel.Distribution, p.Kernel.Version)
	row("root", "%s of %s, cache %s%s", p.Rootfs.Type, p.Rootfs.HostPath, p.Rootfs.Cache, map[bool]string{true: ", read-only"}[p.Rootfs.ReadOnly])
	row("network", "%s", p.Network.Mode)
	row("init", "%s%s", p.Init.Mode, because(p.Init.Reason))
	row("cgroupfs", "%s%s%s", p.Cgroupfs.Mode, map[bool]string{true: ", read-only"}[p.Cgroupfs.ReadOnly], because(p.Cgroupfs.Reason))
	row("entrypoint", "%q", p.Guest.Process.Args)
	row("digest", "%s", digest)
	fmt.Fprintln(t)
	for _, path := range slices.Sorted(maps.Keys(p.Origins)) {
		o := p.Origins[path]
		fmt.Fprintf(t, "%s\t= %s\t# %s %s\n", path, o.Value, o.Kind, o.Where)
		for _, lost := range o.Overrode {
			fmt.Fprintf(t, "\t\t#   instead of %s, %s %s\n", lost.Value, lost.Kind, lost.Where)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Processes)) {
		fmt.Fprintf(t, "\n%s\n", name)
		for _, arg := range p.Processes[name].Argv {
			fmt.Fprintf(t, "  %s\n", arg)
		}
	}
	for _, warning := range p.Warnings {
		fmt.Fprintf(t, "\nWarning: %s\n  %s\n", warning.Summary, warning.Detail)
	}
	return t.Flush()
}

// because puts a reason in parentheses.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + strings.TrimSuffix(reason, ".") + ")"
}
