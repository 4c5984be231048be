package differential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

// shared holds the containers that several cases use: one for each runtime.
type shared struct {
	mu    sync.Mutex
	names map[string]string // by runtime
	dirs  []string
}

// container returns the name of the runtime's container and starts it for the
// first case that asks.
func (s *shared) container(ctx context.Context, a *attempt) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name := s.names[a.runtime]; name != "" {
		return name, nil
	}
	dir, err := os.MkdirTemp("", a.Prefix)
	if err != nil {
		return "", err
	}
	s.dirs = append(s.dirs, dir)
	// One may be left of a process that was killed.
	name := a.Prefix + "shared-" + a.runtime
	if out, err := a.command(ctx, "rm", "--force", name).CombinedOutput(); err != nil && !isGone(string(out)) {
		return "", fmt.Errorf("%s rm --force %s: %w: %s", a.Engine, name, err, out)
	}
	args := a.withRuntime([]string{"run", "--detach", "--name", name, "--hostname", "shared", "--volume", dir + ":/volume", a.Base, "sleep", "infinity"})
	if out, err := a.command(ctx, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("the container that cases share: %w: %s", err, out)
	}
	if s.names == nil {
		s.names = map[string]string{}
	}
	s.names[a.runtime] = name
	return name, nil
}

// Close removes what the cases have shared.
func (r *Runner) Close(ctx context.Context) error {
	r.shared.mu.Lock()
	defer r.shared.mu.Unlock()
	var failed []error
	a := attempt{Runner: r}
	for _, name := range r.shared.names {
		if out, err := a.command(ctx, "rm", "--force", name).CombinedOutput(); err != nil {
			failed = append(failed, fmt.Errorf("%s rm --force %s: %w: %s", r.Engine, name, err, out))
		}
	}
	for _, dir := range r.shared.dirs {
		failed = append(failed, os.RemoveAll(dir))
	}
	r.shared.names, r.shared.dirs = nil, nil
	return errors.Join(failed...)
}
