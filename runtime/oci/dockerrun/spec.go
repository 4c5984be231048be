package dockerrun

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/runtime/image"
)

// Where is where Docker would keep the container's files.
type Where struct {
	ID      string // the container's
	RootDir string // Docker's data root
	Rootfs  string // the container's root file system
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Spec is the configuration that Docker would give its runtime. notes say what
// cannot be known before there is a container. What the machine's kernel
// replaces, such as Docker's seccomp filter, is not in it.
func (o *Options) Spec(config *image.Config, where Where) (spec *specs.Spec, notes []string, err error) {
	b := &builder{o: o, config: config, where: where, spec: &specs.Spec{
		Version: specs.Version, Annotations: pairs(o.annotations),
		Root:    &specs.Root{Path: where.Rootfs, Readonly: o.readOnly},
		Process: &specs.Process{Cwd: "/", Terminal: o.tty},
		Linux:   &specs.Linux{Resources: &specs.LinuxResources{}},
	}}
	for _, step := range []func() error{
		b.hostname, b.args, b.env, b.user, b.capabilities, b.security, b.limits, b.namespaces, b.sysctls, b.mounts, b.devices,
	} {
		if err := step(); err != nil {
			return nil, nil, err
		}
	}
	return b.spec, b.notes, nil
}

// builder is the state of one Spec.
type builder struct {
	o      *Options
	config *image.Config
	where  Where
	spec   *specs.Spec
	notes  []string
}

func (b *builder) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

func (b *builder) hostname() error {
	b.spec.Hostname = b.o.hostname
	if b.spec.Hostname == "" {
		b.spec.Hostname = b.where.ID[:min(12, len(b.where.ID))]
	}
	b.spec.Domainname = b.o.domainname
	return nil
}

func (b *builder) args() error {
	entrypoint, command := b.config.Entrypoint, b.config.Cmd
	if b.o.hasEntrypoint {
		entrypoint, command = nil, nil
		if b.o.entrypoint != "" {
			entrypoint = []string{b.o.entrypoint}
		}
	}
	if len(b.o.Command) > 0 {
		command = b.o.Command
	}
	b.spec.Process.Args = append(slices.Clone(entrypoint), command...)
	if dir := b.config.WorkingDir; dir != "" {
		b.spec.Process.Cwd = dir
	}
	if b.o.workdir != "" {
		b.spec.Process.Cwd = b.o.workdir
	}
	return nil
}

// env has Docker's own variables, those of docker run, then those of the image,
// each name once.
func (b *builder) env() error {
	given, err := b.o.environment()
	if err != nil {
		return err
	}
	env := []string{defaultPath, "HOSTNAME=" + b.spec.Hostname}
	if b.o.tty {
		env = append(env, "TERM=xterm")
	}
	given = merge(nil, given)
	for _, assignment := range b.config.Env {
		name, _, _ := strings.Cut(assignment, "=")
		if !slices.ContainsFunc(given, func(g string) bool { return strings.HasPrefix(g, name+"=") }) {
			given = append(given, assignment)
		}
	}
	b.spec.Process.Env = merge(env, given)
	return nil
}

// user takes numbers. A name stands in the image's /etc/passwd, which Docker
// reads when it starts the container.
func (b *builder) user() error {
	asked := b.o.user
	if asked == "" {
		asked = b.config.User
	}
	user := &b.spec.Process.User
	name, group, _ := strings.Cut(asked, ":")
	for _, id := range []struct {
		text string
		to   *uint32
	}{{name, &user.UID}, {group, &user.GID}} {
		n, err := strconv.ParseUint(id.text, 10, 32)
		if err == nil {
			*id.to = uint32(n)
		} else if id.text != "" && id.text != "root" {
			b.note("%q is a name of the image's /etc/passwd or /etc/group, which is read when the container is created; the plan has 0 in its place.", id.text)
		}
	}
	user.AdditionalGids = []uint32{user.GID}
	for _, group := range b.o.groups {
		n, err := strconv.ParseUint(group, 10, 32)
		if err != nil {
			b.note("The group %q is one of the image's /etc/group, which is read when the container is created; the plan leaves it out.", group)
			continue
		}
		user.AdditionalGids = append(user.AdditionalGids, uint32(n))
	}
	return nil
}

func (b *builder) capabilities() error {
	caps, err := b.o.capabilities()
	if err != nil {
		return err
	}
	p := b.spec.Process
	p.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
	if p.User.UID != 0 { // those of a user are gained by programs that have them
		p.Capabilities.Effective, p.Capabilities.Permitted = nil, nil
	}
	return nil
}

// security reads --security-opt, and hides what Docker hides.
func (b *builder) security() error {
	hidden := !b.o.privileged
	for _, option := range b.o.securityOpt {
		name, value, _ := strings.Cut(strings.Replace(option, ":", "=", 1), "=")
		switch {
		case name == "no-new-privileges":
			b.spec.Process.NoNewPrivileges = value != "false"
		case name == "systempaths" && value == "unconfined":
			hidden = false
		case name == "seccomp" && value == "unconfined", name == "apparmor", name == "label":
			// The host's kernel enforces these, not the guest's.
		default:
			return fmt.Errorf("docker run's flags: --security-opt %q: a plan can be made from no-new-privileges, systempaths=unconfined, seccomp=unconfined, apparmor=NAME and label=VALUE", option)
		}
	}
	if hidden {
		b.spec.Linux.MaskedPaths = slices.Clone(maskedPaths)
		b.spec.Linux.ReadonlyPaths = slices.Clone(readonlyPaths)
	}
	return nil
}

// Paths that Docker hides, or keeps from being written, without --privileged.
var (
	maskedPaths = []string{
		"/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

func (b *builder) limits() error {
	r, o := b.spec.Linux.Resources, b.o
	if o.memory > 0 {
		limit := int64(o.memory)
		r.Memory = &specs.LinuxMemory{Limit: &limit}
	}
	cpu := &specs.LinuxCPU{Cpus: o.cpuset, Mems: o.cpusetMems}
	if o.cpuShares > 0 {
		shares := uint64(o.cpuShares)
		cpu.Shares = &shares
	}
	quota, period := o.cpuQuota, uint64(max(0, o.cpuPeriod))
	if o.cpus > 0 {
		if quota != 0 || period != 0 {
			return fmt.Errorf("docker run's flags: --cpus cannot be given with --cpu-quota or --cpu-period: it sets both")
		}
		period = 100_000 // microseconds
		quota = int64(o.cpus) / 1e9 * int64(period)
		quota += int64(o.cpus) % 1e9 * int64(period) / 1e9
	}
	if quota != 0 {
		cpu.Quota = &quota
	}
	if period != 0 {
		cpu.Period = &period
	}
	r.CPU = cpu
	b.spec.Process.OOMScoreAdj = &o.oomScoreAdj
	if o.pidsLimit != 0 {
		limit := o.pidsLimit
		r.Pids = &specs.LinuxPids{Limit: &limit}
	}
	return b.ulimits()
}

func (b *builder) ulimits() error {
	for _, text := range b.o.ulimits {
		u, err := units.ParseUlimit(text)
		if err != nil {
			return fmt.Errorf("docker run's flags: --ulimit %q: %w", text, err)
		}
		b.spec.Process.Rlimits = append(b.spec.Process.Rlimits, specs.POSIXRlimit{
			Type: "RLIMIT_" + strings.ToUpper(u.Name), Hard: limit(u.Hard), Soft: limit(u.Soft),
		})
	}
	slices.SortFunc(b.spec.Process.Rlimits, func(a, b specs.POSIXRlimit) int { return strings.Compare(a.Type, b.Type) })
	return nil
}

// limit is -1 for none.
func limit(n int64) uint64 {
	if n < 0 {
		return math.MaxUint64
	}
	return uint64(n)
}

func (b *builder) namespaces() error {
	l := b.spec.Linux
	l.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	for _, n := range []struct {
		kind specs.LinuxNamespaceType
		mode string
		host string // the path that Docker names for the host's own
	}{
		{specs.NetworkNamespace, b.o.network, "/var/run/docker/netns/default"},
		{specs.UTSNamespace, b.o.uts, ""},
		{specs.PIDNamespace, b.o.pid, ""},
		{specs.IPCNamespace, b.o.ipc, ""},
	} {
		ns := specs.LinuxNamespace{Type: n.kind}
		if n.mode == "host" {
			if n.host == "" {
				continue
			}
			ns.Path = n.host
		}
		if other, ok := strings.CutPrefix(n.mode, "container:"); ok {
			ns.Path = filepath.Join("/proc/process-of-"+filepath.Base(other), "ns", string(n.kind))
		}
		l.Namespaces = append(l.Namespaces, ns)
	}
	return nil
}

// sysctls has those of docker run after those that Docker sets where the
// container has a network of its own.
func (b *builder) sysctls() error {
	sysctls := map[string]string{}
	if b.o.network != "host" {
		sysctls["net.ipv4.ip_unprivileged_port_start"] = "0"
		sysctls["net.ipv4.ping_group_range"] = "0 2147483647"
	}
	for _, assignment := range b.o.sysctls {
		name, value, ok := strings.Cut(assignment, "=")
		if !ok {
			return fmt.Errorf("docker run's flags: --sysctl %q: write NAME=VALUE", assignment)
		}
		sysctls[name] = value
	}
	b.spec.Linux.Sysctl = sysctls
	return nil
}
