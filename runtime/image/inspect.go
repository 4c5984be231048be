package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Config is what an image says about containers made of it: the fields of
// Docker's and the OCI image configuration.
type Config struct {
	User       string
	Env        []string
	Entrypoint []string
	Cmd        []string
	WorkingDir string
	Labels     map[string]string
	// Volumes are paths in the container that get a volume each.
	Volumes map[string]struct{}
	// ExposedPorts are as "80/tcp".
	ExposedPorts map[string]struct{}
}

// Engine is what is asked of a Docker engine to foresee a container.
type Engine struct {
	DockerRootDir string // on the engine's host
}

// Inspect asks the Docker engine for an image that it has. It runs the docker
// command, so that contexts, DOCKER_HOST and credentials are as the user has
// set them; nothing is pulled and no container is made.
func Inspect(ctx context.Context, name string) (*Config, *Engine, error) {
	var images []struct{ Config *Config }
	if err := askDocker(ctx, &images, "image", "inspect", "--", name); err != nil {
		return nil, nil, err
	}
	if len(images) != 1 || images[0].Config == nil {
		return nil, nil, fmt.Errorf("docker image inspect %s: the answer has no configuration of one image", name)
	}
	engine := new(Engine)
	if err := askDocker(ctx, engine, "info", "--format", "{{json .}}"); err != nil {
		return nil, nil, err
	}
	if engine.DockerRootDir == "" {
		return nil, nil, errors.New("docker info: the engine did not answer")
	}
	return images[0].Config, engine, nil
}

// askDocker decodes the answer of a docker command.
func askDocker(ctx context.Context, into any, args ...string) error {
	cmd := exec.CommandContext(ctx, "docker", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	what := "docker " + strings.Join(args, " ")
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("an image is asked for by the docker command, which is not in $PATH: install it, or unpack the image and use --rootfs DIR")
	case errors.As(err, &exit):
		return fmt.Errorf("%s: %w: %s", what, err, strings.TrimSpace(stderr.String()))
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%s: understand the answer: %w", what, err)
	}
	return nil
}
