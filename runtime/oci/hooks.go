package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/runtime/supervisor/control"
)

// poststartFile in the state folder holds the hooks that are called when the
// entrypoint runs. runc would call them when the supervisor does, or, before
// version 1.2, already by create.
const poststartFile = "poststart.json"

// HookVerb is the command that stands before each hook that runc calls.
const HookVerb = "hook"

// interposeHooks has runc call program's verb HookVerb in the place of each
// hook, and takes out those that runc is not to call.
func interposeHooks(h *specs.Hooks, program string) (poststart []specs.Hook) {
	if h == nil {
		return nil
	}
	lists := []*[]specs.Hook{
		&h.Prestart, //nolint:staticcheck // deprecated, and what Docker uses
		&h.CreateRuntime, &h.CreateContainer, &h.Poststop,
	}
	for _, list := range lists {
		interposed := make([]specs.Hook, 0, len(*list))
		for _, hook := range *list {
			hook.Args = append([]string{filepath.Base(program), HookVerb, hook.Path}, hook.Args...)
			hook.Path = program
			interposed = append(interposed, hook)
		}
		*list = interposed
	}
	poststart, h.Poststart = h.Poststart, nil
	return poststart
}

// Hook replaces this process by the hook at path, with the arguments argv, whose
// standard input is the state that runc writes, but with the bundle that the
// caller knows.
func Hook(path string, argv []string) error {
	state, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fmt.Errorf("read the state of the container: %w", err)
	}
	if state, err = callersState(state); err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("state", 0)
	if err != nil {
		return fmt.Errorf("hand the state on: %w", err)
	}
	file := os.NewFile(uintptr(fd), "state")
	if _, err := file.Write(state); err != nil {
		return fmt.Errorf("hand the state on: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("hand the state on: %w", err)
	}
	if err := unix.Dup3(fd, 0, 0); err != nil {
		return fmt.Errorf("hand the state on: %w", err)
	}
	file.Close()
	if len(argv) == 0 {
		argv = []string{path}
	}
	return fmt.Errorf("run the hook %s: %w", path, syscall.Exec(path, argv, os.Environ()))
}

// callersState is a state of runc's, as JSON, with the bundle that the caller
// knows instead of our copy of it. That of a container that is not ours stays.
func callersState(state []byte) ([]byte, error) {
	var ours struct{ Bundle string }
	if err := json.Unmarshal(state, &ours); err != nil {
		return nil, fmt.Errorf("read runc's state of the container: %w", err)
	}
	if ours.Bundle == "" {
		return nil, errors.New("read runc's state of the container: it has no bundle")
	}
	return stateOf(state, ours.Bundle)
}

// stateOf is a state of runc's, as JSON, with the bundle that the caller of the
// container in a state folder knows. Without that folder it stays.
func stateOf(state []byte, dir string) ([]byte, error) {
	bundle, err := os.ReadFile(filepath.Join(dir, bundleFile))
	if errors.Is(err, os.ErrNotExist) {
		return state, nil
	} else if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(state, &fields); err != nil {
		return nil, fmt.Errorf("read runc's state of the container: %w", err)
	}
	if fields["bundle"], err = json.Marshal(string(bundle)); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	err = enc.Encode(fields)
	return out.Bytes(), err
}

// poststart is what is left to call when the entrypoint runs.
type poststart struct {
	hooks []specs.Hook
	state []byte // what they get
	pid   int    // the supervisor's
}

// poststart reads the hooks to be called, and the state of a container that has
// just been started; nil when there are none.
func (r *Runtime) poststart(ctx context.Context, id string) (*poststart, error) {
	data, err := os.ReadFile(filepath.Join(r.StateDir(id), poststartFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	p := &poststart{}
	if err := json.Unmarshal(data, &p.hooks); err != nil {
		return nil, fmt.Errorf("read the poststart hooks: %w", err)
	}
	if p.state, err = r.state(ctx, id); err != nil {
		return nil, err
	}
	var state specs.State
	if err := json.Unmarshal(p.state, &state); err != nil {
		return nil, fmt.Errorf("read runc's state of %s: %w", id, err)
	}
	p.pid = state.Pid
	return p, nil
}

// callPoststart calls the hooks. When one fails, the container is stopped, as
// the runtime specification has it.
func (r *Runtime) callPoststart(ctx context.Context, id string, p *poststart) error {
	if p == nil {
		return nil
	}
	for i, h := range p.hooks {
		if err := callHook(ctx, h, p.state); err != nil {
			err = fmt.Errorf("poststart hook #%d (%s): %w", i, h.Path, err)
			if kerr := r.Kill(ctx, id, "KILL", []string{id, "KILL"}); kerr != nil {
				return errors.Join(err, kerr)
			}
			awaitEnd(p.pid)
			return err
		}
	}
	return nil
}

func callHook(ctx context.Context, h specs.Hook, state []byte) error {
	if h.Timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*h.Timeout)*time.Second)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, h.Path)
	if len(h.Args) > 0 {
		cmd.Args = h.Args
	}
	cmd.Env = h.Env
	cmd.Stdin = bytes.NewReader(state)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	// What the hook leaves running may hold its output open.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it ran longer than its timeout of %d s", *h.Timeout)
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("%w, output: %s", err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// poststartBeside calls the hooks of a container that runc is about to run, and
// then returns what became of them. runc has returned when ended is closed.
func (r *Runtime) poststartBeside(ctx context.Context, id string, ended <-chan struct{}) <-chan error {
	result := make(chan error, 1)
	if _, err := os.Stat(filepath.Join(r.StateDir(id), poststartFile)); err != nil {
		result <- nil // there are none
		return result
	}
	go func() {
		conn, err := control.Dial(ctx, r.StateDir(id), func() bool {
			select {
			case <-ended:
				return r.running(ctx, id)
			default:
				return true
			}
		})
		if err != nil {
			result <- nil // there was no entrypoint: runc tells why
			return
		}
		defer conn.Close()
		p, err := r.poststart(ctx, id)
		if err == nil {
			if _, aerr := control.Call(ctx, conn, control.Request{Await: true}); aerr == nil {
				err = r.callPoststart(ctx, id, p)
			}
		}
		result <- err
	}()
	return result
}
