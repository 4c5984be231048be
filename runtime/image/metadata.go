// Package image looks into a container's image from the host, before there is
// a VM: its labels, and whether it has the program that is to run.
package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
)

// maxMetadata bounds an engine's file in bytes. Docker's of a container is a few
// KiB, and labels and the environment make it grow; Podman's has all containers.
const maxMetadata = 32 << 20

// variablePrefix begins the environment variables that ask for something.
const variablePrefix = "RUNCVM_"

// container is what an engine's files say of one.
type container struct {
	name   string
	labels map[string]string
	ports  []string // sorted, as "80/tcp"
	// imageEnv returns the image's own environment, and whether it is known.
	imageEnv func() (env []string, known bool, err error)
}

// Metadata returns what the engine knows of the container id and its image: the
// labels, the ports, and the RUNCVM_* variables of the image's own environment.
// An engine's API would wait for the container's lock, which is held while the
// runtime creates it, so they are read from the engine's files: Docker's, or
// those of the storage that Podman has.
//
// Without such a file there is no engine, and Metadata returns nothing. A file
// that cannot be read or understood is an error that names it.
func Metadata(spec *specs.Spec, id string) (plan.Image, error) {
	c, err := findContainer(spec, id)
	if c == nil {
		return plan.Image{}, err
	}
	image := plan.Image{Labels: c.labels, Ports: c.ports}
	if asks(spec) {
		var env []string
		env, image.EnvKnown, err = c.imageEnv()
		image.Env = Asking(env)
	}
	return image, err
}

// ContainerName returns the name that the engine's container id has, empty where
// no engine knows it. It is found as the labels are.
func ContainerName(spec *specs.Spec, id string) (string, error) {
	c, err := findContainer(spec, id)
	if c == nil {
		return "", err
	}
	return c.name, nil
}

// findContainer returns nil when no engine knows the container.
func findContainer(spec *specs.Spec, id string) (*container, error) {
	if id == "" {
		return nil, nil // a bundle that no engine knows
	}
	if id == "." || id == ".." || strings.ContainsRune(id, filepath.Separator) {
		return nil, fmt.Errorf("find the container's labels: %q is no container ID", id)
	}
	for _, find := range []func(*specs.Spec, string) (*container, error){findInDocker, findInStorage} {
		if c, err := find(spec, id); c != nil || err != nil {
			return c, err
		}
	}
	return nil, nil
}

// asks says whether the container has variables of which it matters whose they
// are.
func asks(spec *specs.Spec) bool { return spec.Process != nil && len(Asking(spec.Process.Env)) > 0 }

// Asking returns the RUNCVM_* variables of an environment.
func Asking(env []string) []string {
	var list []string
	for _, e := range env {
		if strings.HasPrefix(e, variablePrefix) {
			list = append(list, e)
		}
	}
	return list
}

// above returns the folders that the root file system is in, the nearest first;
// none when its path is relative.
func above(root *specs.Root) []string {
	if root == nil || !filepath.IsAbs(root.Path) {
		return nil
	}
	var dirs []string
	for dir := filepath.Clean(root.Path); dir != "/"; {
		dir = filepath.Dir(dir)
		dirs = append(dirs, dir)
	}
	return dirs
}

// imageID is the digest of an image's configuration, safe as the name of a file.
var imageID = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// imageConfig is the part that counts of an image's configuration, as in
// https://github.com/opencontainers/image-spec/blob/main/config.md.
type imageConfig struct {
	Config struct {
		Env          []string
		Labels       map[string]string
		ExposedPorts map[string]struct{}
	} `json:"config"`
}

// readJSON reads a file of bounded size.
func readJSON(file string, into any) error {
	f, err := os.Open(file)
	if errors.Is(err, errNotDirectory) {
		return fs.ErrNotExist
	}
	if err != nil {
		return err
	}
	defer f.Close()
	in := &io.LimitedReader{R: f, N: maxMetadata}
	if err := json.NewDecoder(in).Decode(into); err != nil {
		if in.N <= 0 {
			return fmt.Errorf("the file is larger than %d MiB", maxMetadata>>20)
		}
		if errors.Is(err, io.EOF) {
			return errors.New("the file is empty")
		}
		return err
	}
	return nil
}
