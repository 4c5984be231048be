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
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const (
	dockerConfig = "config.v2.json"
	// maxDockerConfig bounds the file in bytes. Docker's own is a few KiB, and
	// labels and the environment make it grow.
	maxDockerConfig = 32 << 20
)

// Labels returns the labels of Docker's container id: those of its image and
// those given to docker run. Docker's API would wait for the container's lock,
// which is held while the runtime creates it, so they are read from Docker's
// metadata file, config.v2.json in the container's folder below the data root.
// That folder is found through the files that Docker binds from it, or upward
// from the root file system.
//
// Without such a file there is no Docker, and Labels returns nil. A file that
// cannot be read or understood is an error that names it.
func Labels(spec *specs.Spec, id string) (map[string]string, error) {
	m, err := findMetadata(spec, id)
	if m == nil {
		return nil, err
	}
	return m.Config.Labels, nil
}

// ContainerName returns the name that Docker's container id has, empty where no
// Docker knows it. It is found as the labels are.
func ContainerName(spec *specs.Spec, id string) (string, error) {
	m, err := findMetadata(spec, id)
	if m == nil {
		return "", err
	}
	return strings.TrimPrefix(m.Name, "/"), nil
}

// metadata is what is read of Docker's config.v2.json.
type metadata struct {
	ID     string
	Name   string // with a slash before it
	Config struct {
		Labels map[string]string
	}
}

// findMetadata returns nil when no Docker knows the container.
func findMetadata(spec *specs.Spec, id string) (*metadata, error) {
	if id == "" {
		return nil, nil // a bundle that no engine knows
	}
	if id == "." || id == ".." || strings.ContainsRune(id, filepath.Separator) {
		return nil, fmt.Errorf("find the container's labels: %q is no container ID", id)
	}
	for _, file := range metadataFiles(spec, id) {
		m, err := readMetadata(file, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the container's labels from Docker's metadata %s: %w", file, err)
		}
		return m, nil
	}
	return nil, nil
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

func readMetadata(file, id string) (*metadata, error) {
	f, err := os.Open(file)
	if errors.Is(err, errNotDirectory) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := new(metadata)
	in := &io.LimitedReader{R: f, N: maxDockerConfig}
	if err := json.NewDecoder(in).Decode(m); err != nil {
		if in.N <= 0 {
			return nil, fmt.Errorf("the file is larger than %d MiB", maxDockerConfig>>20)
		}
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty")
		}
		return nil, err
	}
	if m.ID != id {
		return nil, fmt.Errorf("the file is about the container %q", m.ID)
	}
	return m, nil
}
