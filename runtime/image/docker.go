package image

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const dockerConfig = "config.v2.json"

// dockerContainer is Docker's metadata of a container.
type dockerContainer struct {
	ID     string
	Name   string // with a slash before it
	Image  string // "sha256:" and the digest of the image's configuration
	Driver string // of the storage
	Config struct {
		// Labels has those of the image and those given to docker run.
		Labels map[string]string
		// ExposedPorts has those of the image and those of docker's --expose and
		// --publish, as "80/tcp".
		ExposedPorts map[string]struct{}
	}

	file string // that it was read from
}

// findInDocker reads config.v2.json in the container's folder below Docker's data
// root. The folder is found through the files that Docker binds from it, or
// upward from the root file system.
func findInDocker(spec *specs.Spec, id string) (*container, error) {
	for _, file := range dockerFiles(spec, id) {
		c := dockerContainer{file: file}
		err := readJSON(file, &c)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && c.ID != id {
			err = fmt.Errorf("the file is about the container %q", c.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("read the container's labels from Docker's metadata %s: %w", file, err)
		}
		return &container{
			name:     strings.TrimPrefix(c.Name, "/"),
			labels:   c.Config.Labels,
			ports:    slices.Sorted(maps.Keys(c.Config.ExposedPorts)),
			imageEnv: c.imageEnv,
		}, nil
	}
	return nil, nil
}

// dockerFiles lists where the container's metadata may be, the likeliest first.
func dockerFiles(spec *specs.Spec, id string) []string {
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
	for _, dir := range above(spec.Root) {
		files = append(files, filepath.Join(dir, "containers", id, dockerConfig))
	}
	return files
}

// driverName is a storage driver's that is safe as the name of a folder.
var driverName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// imageEnv reads the image's configuration in the store of the storage driver.
// It is not known when Docker keeps its images elsewhere (in containerd), or has
// forgotten this one: a container keeps running whose image was removed by force.
func (c *dockerContainer) imageEnv() (env []string, known bool, err error) {
	if !imageID.MatchString(c.Image) || !driverName.MatchString(c.Driver) {
		return nil, false, nil
	}
	dataRoot := filepath.Dir(filepath.Dir(filepath.Dir(c.file)))
	path := filepath.Join(dataRoot, "image", c.Driver, "imagedb/content/sha256", strings.TrimPrefix(c.Image, "sha256:"))
	var image imageConfig
	if err := readJSON(path, &image); errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, fmt.Errorf("read the image's environment from Docker's metadata %s: %w", path, err)
	}
	return image.Config.Env, true, nil
}
