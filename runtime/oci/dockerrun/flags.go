// Package dockerrun makes the OCI configuration that Docker would make of an
// image and docker run's flags, for a plan of a container that does not exist.
package dockerrun

import (
	"errors"
	"fmt"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"

	"github.com/runcvm/runcvm/internal/diag"
)

// Options are what docker run was given beside the image.
type Options struct {
	Command []string

	given                []string // the flags' names, sorted
	entrypoint           string
	hasEntrypoint        bool
	env, envFiles        []string
	labels, labelFiles   []string
	annotations          []string
	hostname, domainname string
	user, workdir        string
	groups               []string
	tty                  bool
	memory, shmSize      size
	cpus                 cpus
	cpuset, cpusetMems   string
	cpuShares, cpuPeriod int64
	cpuQuota, pidsLimit  int64
	oomScoreAdj          int
	ulimits              []string
	capAdd, capDrop      []string
	privileged, readOnly bool
	securityOpt          []string
	volumes, mounts      []string
	tmpfs, devices       []string
	network              string
	pid, ipc, uts        string
	sysctls              []string
}

// Parse reads docker run's flags and the command that follows them.
func Parse(args []string) (*Options, error) {
	o := new(Options)
	f := o.flags()
	err := f.Parse(args)
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		return nil, unknownFlag(unknown.GetSpecifiedName(), f)
	} else if err != nil {
		return nil, fmt.Errorf("docker run's flags: %w", err)
	}
	o.Command = f.Args()
	o.hasEntrypoint = f.Changed("entrypoint")
	f.Visit(func(flag *pflag.Flag) { o.given = append(o.given, "--"+flag.Name) })
	return o, nil
}

func unknownFlag(name string, f *pflag.FlagSet) error {
	var known []string
	f.VisitAll(func(flag *pflag.Flag) { known = append(known, "--"+flag.Name) })
	name = strings.Repeat("-", min(len(name), 2)) + name
	var diags diag.Diagnostics
	diags.Errorf("Unknown flag of docker run",
		"A plan cannot be made from the flag %q.%s Those that it can be made from, or that do not matter to it, are: %s.",
		name, diag.DidYouMean(name, known), strings.Join(known, ", "))
	return diags
}

// flags are docker run's, by its names.
func (o *Options) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("docker run", pflag.ContinueOnError)
	f.SetInterspersed(false) // what follows the first word is the command's
	f.Usage = func() {}
	text := func(p *string, names ...string) {
		for _, name := range names {
			f.StringVar(p, name, "", "")
		}
	}
	list := func(p *[]string, name, short string) { f.StringArrayVarP(p, name, short, nil, "") }
	text(&o.entrypoint, "entrypoint")
	text(&o.domainname, "domainname")
	text(&o.cpuset, "cpuset-cpus")
	text(&o.cpusetMems, "cpuset-mems")
	text(&o.network, "network", "net")
	text(&o.pid, "pid")
	text(&o.ipc, "ipc")
	text(&o.uts, "uts")
	f.StringVarP(&o.hostname, "hostname", "h", "", "")
	f.StringVarP(&o.user, "user", "u", "", "")
	f.StringVarP(&o.workdir, "workdir", "w", "", "")
	list(&o.env, "env", "e")
	list(&o.envFiles, "env-file", "")
	list(&o.annotations, "annotation", "")
	list(&o.labels, "label", "l")
	list(&o.labelFiles, "label-file", "")
	list(&o.groups, "group-add", "")
	list(&o.ulimits, "ulimit", "")
	list(&o.capAdd, "cap-add", "")
	list(&o.capDrop, "cap-drop", "")
	list(&o.securityOpt, "security-opt", "")
	list(&o.volumes, "volume", "v")
	list(&o.mounts, "mount", "")
	list(&o.tmpfs, "tmpfs", "")
	list(&o.devices, "device", "")
	list(&o.sysctls, "sysctl", "")
	f.BoolVarP(&o.tty, "tty", "t", false, "")
	f.BoolVar(&o.privileged, "privileged", false, "")
	f.BoolVar(&o.readOnly, "read-only", false, "")
	f.VarP(&o.memory, "memory", "m", "")
	f.Var(&o.shmSize, "shm-size", "")
	f.Var(&o.cpus, "cpus", "")
	f.Int64VarP(&o.cpuShares, "cpu-shares", "c", 0, "")
	f.Int64Var(&o.cpuPeriod, "cpu-period", 0, "")
	f.Int64Var(&o.cpuQuota, "cpu-quota", 0, "")
	f.Int64Var(&o.pidsLimit, "pids-limit", 0, "")
	f.IntVar(&o.oomScoreAdj, "oom-score-adj", 0, "")
	withoutEffect(f)
	return f
}

// withoutEffect declares the flags that leave the plan as it is: how docker run
// behaves, and what Docker does beside the container.
func withoutEffect(f *pflag.FlagSet) {
	for _, name := range []string{"detach", "interactive", "publish-all"} {
		f.BoolP(name, map[string]string{"detach": "d", "interactive": "i", "publish-all": "P"}[name], false, "")
	}
	f.Bool("rm", false, "")
	for _, name := range []string{
		"attach", "publish", "expose", "dns", "dns-option", "dns-search", "add-host", "log-opt", "network-alias", "net-alias",
	} {
		f.StringArrayP(name, map[string]string{"attach": "a", "publish": "p"}[name], nil, "")
	}
	for _, name := range []string{
		"name", "restart", "runtime", "log-driver", "stop-signal", "stop-timeout", "pull", "cidfile", "cgroup-parent", "ip", "ip6",
		"mac-address", "memory-swap", "memory-swappiness", "memory-reservation", "blkio-weight", "detach-keys",
	} {
		f.String(name, "", "")
	}
}

// size is a number of bytes as docker takes it: "512m".
type size int64

func (s *size) String() string { return units.BytesSize(float64(*s)) }
func (s *size) Type() string   { return "bytes" }
func (s *size) Set(text string) error {
	n, err := units.RAMInBytes(text)
	*s = size(n)
	return err
}

// cpus is a number of CPUs in billionths, as docker takes it: "1.5".
type cpus int64

func (c *cpus) String() string { return fmt.Sprint(float64(*c) / 1e9) }
func (c *cpus) Type() string   { return "decimal" }
func (c *cpus) Set(text string) error {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) > 9 {
		return fmt.Errorf("%q has more than nine decimal places", text)
	}
	var n int64
	for _, digit := range whole + fraction + strings.Repeat("0", 9-len(fraction)) {
		if digit < '0' || digit > '9' || n > 1<<58 {
			return fmt.Errorf("%q is no number of CPUs, such as 1.5", text)
		}
		n = n*10 + int64(digit-'0')
	}
	*c = cpus(n)
	return nil
}
