// Package image looks into a container's image from the host, before there is
// a VM: its labels, and whether it has the program that is to run.
package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
)

const (
	dockerConfig = "config.v2.json"
	// maxDockerConfig bounds the file in bytes. Docker's own is a few KiB, and
	// labels and the environment make it grow.
	maxDockerConfig = 32 << 20
)

// variablePrefix begins the environment variables that ask for something.
const variablePrefix = "RUNCVM_"

// Metadata returns what Docker knows of the container id and its image: the
// labels, those of the image and those given to docker run, and the RUNCVM_*
// variables of the image's own environment. Docker's API would wait for the
// container's lock, which is held while the runtime creates it, so they are read
// from Docker's metadata files: config.v2.json in the container's folder below
// the data root, and the image's configuration in the store of the storage
// driver. The folder is found through the files that Docker binds from it, or
// upward from the root file system.
//
// Without such a file there is no Docker, and Metadata returns nothing. A file
// that cannot be read or understood is an error that names it. Docker with the
// containerd image store keeps no images there: then the environment is not
// known.
func Metadata(spec *specs.Spec, id string) (plan.Image, error) {
	c, err := findContainer(spec, id)
	if c == nil {
		return plan.Image{}, err
	}
	image := plan.Image{Labels: c.Config.Labels, Ports: slices.Sorted(maps.Keys(c.Config.ExposedPorts))}
	if asks(spec) {
		image.Env, image.EnvKnown, err = c.imageEnv()
	}
	return image, err
}

// ContainerName returns the name that Docker's container id has, empty where no
// Docker knows it. It is found as the labels are.
func ContainerName(spec *specs.Spec, id string) (string, error) {
	c, err := findContainer(spec, id)
	if c == nil {
		return "", err
	}
	return strings.TrimPrefix(c.Name, "/"), nil
}

// findContainer returns nil when no Docker knows the container.
func findContainer(spec *specs.Spec, id string) (*container, error) {
	if id == "" {
		return nil, nil // a bundle that no engine knows
	}
	if id == "." || id == ".." || strings.ContainsRune(id, filepath.Separator) {
		return nil, fmt.Errorf("find the container's labels: %q is no container ID", id)
	}
	for _, file := range metadataFiles(spec, id) {
		c, err := readContainer(file, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the container's labels from Docker's metadata %s: %w", file, err)
		}
		return c, nil
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

// metadataFiles lists where the container's metadata may be, the likeliest
// first.
func metadataFiles(spec *specs.Spec, id string) []string {
	var files []string
	for _, m := range spec.Mounts {
		switch m.Destination {
		case "/etc/hostname", "/etc/resolv.conf", "/etc/hosts":
			// A user may bind files of their own there.
			if dir := filepath.Dir(m.Source); filepath.IsAbs(dir) && filepath.Base(dir) == id {
				files = append(files, filepath.Join(dir, dockerConfig))
			}
		}
	}
	if spec.Root == nil || !filepath.IsAbs(spec.Root.Path) {
		return files
	}
	for dir := filepath.Clean(spec.Root.Path); dir != "/"; {
		dir = filepath.Dir(dir)
		files = append(files, filepath.Join(dir, "containers", id, dockerConfig))
	}
	return files
}

// container is Docker's metadata of a container.
type container struct {
	ID     string
	Name   string // with a slash before it
	Image  string // "sha256:" and the digest of the image's configuration
	Driver string // of the storage
	Config struct {
		Labels map[string]string
		// ExposedPorts has those of the image and those of docker's --expose and
		// --publish, as "80/tcp".
		ExposedPorts map[string]struct{}
	}

	file string // that it was read from
}

func readContainer(file, id string) (*container, error) {
	c := container{file: file}
	if err := readJSON(file, &c); err != nil {
		return nil, err
	}
	if c.ID != id {
		return nil, fmt.Errorf("the file is about the container %q", c.ID)
	}
	return &c, nil
}

// imageID is a digest that is safe as the name of a file, and driverName a
// storage driver's.
var (
	imageID    = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	driverName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
)

// imageEnv returns the RUNCVM_* variables of the image's own environment. It is
// not known when Docker keeps its images elsewhere, or has forgotten this one: a
// container keeps running whose image was removed by force.
func (c *container) imageEnv() (env []string, known bool, err error) {
	if !imageID.MatchString(c.Image) || !driverName.MatchString(c.Driver) {
		return nil, false, nil
	}
	dataRoot := filepath.Dir(filepath.Dir(filepath.Dir(c.file)))
	path := filepath.Join(dataRoot, "image", c.Driver, "imagedb/content/sha256", strings.TrimPrefix(c.Image, "sha256:"))
	var image struct {
		Config struct {
			Env []string
		} `json:"config"`
	}
	if err := readJSON(path, &image); errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, fmt.Errorf("read the image's environment from Docker's metadata %s: %w", path, err)
	}
	return Asking(image.Config.Env), true, nil
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
	in := &io.LimitedReader{R: f, N: maxDockerConfig}
	if err := json.NewDecoder(in).Decode(into); err != nil {
		if in.N <= 0 {
			return fmt.Errorf("the file is larger than %d MiB", maxDockerConfig>>20)
		}
		if errors.Is(err, io.EOF) {
			return errors.New("the file is empty")
		}
		return err
	}
	return nil
}
