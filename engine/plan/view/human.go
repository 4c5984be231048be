package view

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/plan/diff"
	"github.com/runcvm/runcvm/schema/units"
)

// human shows text.
type human struct {
	out     io.Writer
	options Options
}

func (h *human) Plan(p *plan.Plan, notes []string) error {
	s := h.sheet()
	if err := s.plan(p); err != nil {
		return err
	}
	s.notes(notes)
	return s.flush()
}

func (s *sheet) plan(p *plan.Plan) error {
	if _, err := plan.Encode(p); err != nil { // which computes the digest
		return err
	}
	s.glance(p)
	s.values(p)
	s.patches(p)
	if s.view.options.Commands {
		s.commands(p)
	}
	s.warnings(p)
	return nil
}

// glance shows the machine in a few rows.
func (s *sheet) glance(p *plan.Plan) {
	m := p.Machine
	cpus := "vCPUs"
	if m.CPUs == 1 {
		cpus = "vCPU"
	}
	s.rows(
		row{"profiles", strings.Join(p.Profiles, ", ")},
		row{"machine", fmt.Sprintf("%s, %d %s, %d MiB (+%d MiB overhead), %s", m.Type, m.CPUs, cpus, m.MemoryMiB, m.OverheadMiB, m.Accel)},
		row{"hot", hot(&m)},
		row{"firmware", p.Firmware.Type},
		row{"display", display(&p.Display)},
		row{"kernel", kernel(&p.Kernel)},
		row{"root", fmt.Sprintf("%s of %s, cache %s%s", p.Rootfs.Type, diff.Text(p.Rootfs.HostPath), p.Rootfs.Cache, map[bool]string{true: ", read-only"}[p.Rootfs.ReadOnly])},
		row{"volumes", volumes(p)},
		row{"disks", disks(p)},
		row{"devices", devices(p)},
		row{"network", p.Network.Mode},
		row{"init", p.Init.Mode + because(p.Init.Reason)},
		row{"cgroupfs", p.Cgroupfs.Mode + map[bool]string{true: ", read-only"}[p.Cgroupfs.ReadOnly] + because(p.Cgroupfs.Reason)},
		row{"agent", "by " + p.Agent.Transport},
		row{"entrypoint", fmt.Sprintf("%q", p.Guest.Process.Args)},
		row{"digest", p.Digest},
	)
}

// hot says what "docker update" can make of the running machine.
func hot(m *plan.Machine) string {
	cpus := "1 vCPU"
	if most := m.MostCPUs(); most > 1 {
		cpus = fmt.Sprintf("1 to %d vCPUs", most)
	}
	return fmt.Sprintf("%s, %d to %d MiB, processes", cpus, m.LeastMemoryMiB(), m.MostMemoryMiB())
}

// because puts the reason of a choice in parentheses.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + diff.Text(strings.TrimSuffix(reason, ".")) + ")"
}

// display says what shows the machine; nothing for a headless one.
func display(d *plan.Display) string {
	if d.Mode == plan.DisplayHeadless && d.VGA == "none" {
		return ""
	}
	text := d.Mode
	if d.VGA != "none" {
		text += ", VGA " + d.VGA
	}
	if d.VNC != nil {
		text += fmt.Sprintf(", VNC on port %d %s", d.VNC.Port, map[bool]string{true: "without a password", false: "with a password"}[d.VNC.PasswordFile == ""])
	}
	if d.Console != "" {
		text += ", the entrypoint at " + d.Console
	}
	return text
}

// volumes lists where host files appear in the guest, without those of the
// engine's own that every container has, and without the kernel's modules.
func volumes(p *plan.Plan) string {
	var targets []string
	for _, m := range p.Guest.Mounts {
		if m.Type == "socket" {
			targets = append(targets, diff.Text(m.Destination)+" (socket)")
		}
		if m.Type == "volume" && m.Source != plan.ModulesVolume && !slices.Contains([]string{"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}, m.Destination) {
			targets = append(targets, diff.Text(m.Destination))
		}
	}
	return strings.Join(targets, ", ")
}

// disks lists the disks with their files and where the guest mounts them.
func disks(p *plan.Plan) string {
	var list []string
	for _, d := range p.Disks {
		size := ""
		if d.SizeBytes > 0 {
			size = fmt.Sprintf(", made with %s", units.Bytes(d.SizeBytes))
		}
		list = append(list, fmt.Sprintf("%s (%s on %s%s)", diff.Text(d.Target), d.FS, diff.Text(d.Source), size))
	}
	return strings.Join(list, ", ")
}

// devices lists the host's block devices and PCI devices.
func devices(p *plan.Plan) string {
	var list []string
	for _, d := range p.BlockDevices {
		list = append(list, fmt.Sprintf("%s (the host's %d:%d%s)", diff.Text(d.Node.Path), d.Node.Major, d.Node.Minor, map[bool]string{true: ", read-only"}[d.ReadOnly]))
	}
	for _, d := range p.Machine.VFIO {
		list = append(list, fmt.Sprintf("the host's PCI device %s (IOMMU group %d)", d.Address, d.Group))
	}
	return strings.Join(list, ", ")
}

// values shows each attribute with its origin, and below it the values that
// lost.
func (s *sheet) values(p *plan.Plan) {
	s.title("Values")
	paths := slices.Sorted(maps.Keys(p.Origins))
	var names, values int
	for _, path := range paths {
		names, values = max(names, len(path)), max(values, len(diff.Text(p.Origins[path].Value)))
	}
	values = min(values, 32) // a long list must not push all origins away
	for _, path := range paths {
		o := p.Origins[path]
		s.line("  %-*s  %s  %s", names, path, s.strong(fmt.Sprintf("%-*s", values, diff.Text(o.Value))), s.faint(origin(o)))
		for _, lost := range o.Overrode {
			s.line("  %*s  %s", names, "", s.faint(fmt.Sprintf("  beats %s, %s", diff.Text(lost.Value), origin(lost))))
		}
	}
}

// patches shows which were applied, why, and what they set.
func (s *sheet) patches(p *plan.Plan) {
	if len(p.Patches) == 0 {
		return
	}
	s.title("Patches")
	for _, patch := range p.Patches {
		s.line("  %s  %s  %s", s.strong(diff.Text(patch.Name)), strings.Join(patch.Attributes, ", "), s.faint(diff.Text(patch.Where)))
		s.line("    %s", diff.Text(patch.Reason))
		if patch.Upstream != "" {
			s.line("    %s", s.faint(diff.Text(patch.Upstream)))
		}
	}
}

// origin names a place after what kind of place it is.
func origin(o plan.Origin) string {
	where := diff.Text(o.Where)
	if o.Kind == "file" || o.Kind == "builtin" || strings.HasPrefix(where, o.Kind+" ") {
		return where
	}
	return o.Kind + " " + where
}

func (s *sheet) commands(p *plan.Plan) {
	for _, name := range slices.Sorted(maps.Keys(p.Processes)) {
		s.title("Command line of " + name)
		for _, variable := range p.Processes[name].Env {
			s.line("  %s", diff.Text(variable))
		}
		for _, arg := range p.Processes[name].Argv {
			s.line("  %s", diff.Text(arg))
		}
	}
}

func (s *sheet) warnings(p *plan.Plan) {
	for _, w := range p.Warnings {
		s.line("")
		s.line("%s %s", s.colour(yellow, "Warning:"), diff.Text(w.Summary))
		s.line("  %s", diff.Text(w.Detail))
	}
}

func (s *sheet) notes(notes []string) {
	for _, note := range notes {
		s.line("")
		s.line("Note: %s", diff.Text(note))
	}
}

// kernel says which kernel boots, and why.
func kernel(k *plan.Kernel) string {
	name := strings.TrimSpace(k.Distribution + " " + k.Version)
	if k.Reason == "" {
		return name
	}
	return name + ", " + strings.ToLower(k.Reason[:1]) + strings.TrimSuffix(k.Reason[1:], ".")
}
