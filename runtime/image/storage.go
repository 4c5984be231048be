package image

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// storedContainer is an entry of a containers.json, as in
// https://github.com/containers/storage/blob/main/containers.go.
type storedContainer struct {
	ID    string
	Names []string
	Image string // the digest of the image's configuration, empty for a root without one
}

// findInStorage reads the storage that Podman keeps its containers and images in.
// It is found upward from the root file system, DRIVER/LAYER/merged: beside
// DRIVER are DRIVER-containers and DRIVER-images. The storage knows the labels of
// images, not those given to podman run.
func findInStorage(spec *specs.Spec, id string) (*container, error) {
	for _, driver := range above(spec.Root) {
		// The second has those of podman run --rm.
		for _, name := range []string{"containers.json", "volatile-containers.json"} {
			file := driver + "-containers/" + name
			var all []storedContainer
			if err := readJSON(file, &all); errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return nil, fmt.Errorf("read the container's image from Podman's storage %s: %w", file, err)
			}
			i := slices.IndexFunc(all, func(c storedContainer) bool { return c.ID == id })
			if i >= 0 {
				return all[i].read(driver + "-images")
			}
		}
	}
	return nil, nil
}

// read reads the image's configuration. It is not known when the image is in
// another storage, as those of additionalimagestores are.
func (c *storedContainer) read(images string) (*container, error) {
	var image imageConfig
	known := false
	if digest := "sha256:" + c.Image; imageID.MatchString(digest) {
		// Names with other characters than lower-case letters, digits and dots are
		// encoded.
		path := filepath.Join(images, c.Image, "="+base64.StdEncoding.EncodeToString([]byte(digest)))
		err := readJSON(path, &image)
		if known = err == nil; !known && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the image's configuration from Podman's storage %s: %w", path, err)
		}
	}
	found := &container{
		labels:   image.Config.Labels,
		ports:    slices.Sorted(maps.Keys(image.Config.ExposedPorts)),
		imageEnv: func() ([]string, bool, error) { return image.Config.Env, known, nil },
	}
	if len(c.Names) > 0 {
		found.name = c.Names[0]
	}
	return found, nil
}
