package oci

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/ocispec"
)

// ProcessOptions say what `exec` runs: a file, or a command line whose
// settings come from the container's entrypoint where they are not given.
type ProcessOptions struct {
	File           string // an OCI process.json
	Args           []string
	Cwd            string
	Env            []string
	Terminal       bool
	User           string // UID[:GID]
	AdditionalGids []uint
}

// Process is the process that o asks for in container id.
func (r *Runtime) Process(id string, o ProcessOptions) (specs.Process, error) {
	if o.File != "" {
		return readProcess(o.File)
	}
	if len(o.Args) == 0 {
		return specs.Process{}, errors.New("exec needs a command, or --process FILE")
	}
	p, err := r.Plan(id)
	if err != nil {
		return specs.Process{}, err
	}
	process := p.Guest.Process
	process.Args = o.Args
	process.Terminal = o.Terminal
	process.Env = append(process.Env[:len(process.Env):len(process.Env)], o.Env...)
	if o.Cwd != "" {
		process.Cwd = o.Cwd
	}
	if o.User != "" {
		if process.User, err = parseUser(o.User); err != nil {
			return specs.Process{}, err
		}
	}
	for _, gid := range o.AdditionalGids {
		process.User.AdditionalGids = append(process.User.AdditionalGids, uint32(gid))
	}
	return process, nil
}

func parseUser(s string) (specs.User, error) {
	uid, gid, _ := strings.Cut(s, ":")
	var user specs.User
	for _, id := range []struct {
		text string
		to   *uint32
	}{{uid, &user.UID}, {gid, &user.GID}} {
		if id.text == "" && id.to == &user.GID {
			continue
		}
		n, err := strconv.ParseUint(id.text, 10, 32)
		if err != nil {
			return user, fmt.Errorf("--user %q is not UID[:GID] in numbers", s)
		}
		*id.to = uint32(n)
	}
	return user, nil
}

// readProcess reads an OCI process.json.
func readProcess(path string) (specs.Process, error) {
	var process specs.Process
	data, err := os.ReadFile(path)
	if err != nil {
		return process, fmt.Errorf("read the process: %w", err)
	}
	if process, err = ocispec.ParseProcess(data, path); err != nil {
		return process, err
	}
	if len(process.Args) == 0 {
		return process, fmt.Errorf("%s: args is missing: exec needs a program to run", path)
	}
	return process, nil
}
