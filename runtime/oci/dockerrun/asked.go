package dockerrun

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/runtime/image"
)

// Asked is what docker run's flags ask for that a profile can have as well.
type Asked struct {
	// Limits is a specification with the container's limits and nothing else.
	Limits *specs.Spec
	Env    []string
	Labels map[string]string
	// Others are the further flags that were given, "--volume", sorted.
	Others []string
}

// inProfiles are the flags that Asked has.
var inProfiles = []string{"--memory", "--cpus", "--cpuset-cpus", "--cpu-period", "--cpu-quota", "--env", "--env-file", "--label", "--label-file"}

// Asked reads the flags without an image.
func (o *Options) Asked() (*Asked, error) {
	b := &builder{o: o, config: &image.Config{}, spec: &specs.Spec{
		Process: &specs.Process{}, Linux: &specs.Linux{Resources: &specs.LinuxResources{}},
	}}
	if err := b.limits(); err != nil {
		return nil, err
	}
	a := &Asked{Limits: b.spec}
	var err error
	if a.Env, err = o.environment(); err != nil {
		return nil, err
	}
	if a.Labels, err = o.Labels(); err != nil {
		return nil, err
	}
	for _, flag := range o.given {
		if !slices.Contains(inProfiles, flag) {
			a.Others = append(a.Others, flag)
		}
	}
	return a, nil
}
