package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/runcvm/runcvm/engine/plan"
)

// inputsFile in the state folder has what the plan was compiled from beside the
// bundle, so that the plan can be compiled again and compared.
const inputsFile = "inputs.json"

// inputs is the content of inputsFile.
type inputs struct {
	Prefix      string     `json:"prefix"`
	ProfilesDir string     `json:"profiles_dir"`
	Facts       plan.Facts `json:"facts"`
}

func (r *Runtime) inputs(f *plan.Facts) ([]byte, error) {
	in := inputs{Facts: *f}
	var err error
	if in.Prefix, err = filepath.Abs(r.Prefix); err != nil {
		return nil, err
	}
	if in.ProfilesDir, err = filepath.Abs(r.ProfilesDir); err != nil {
		return nil, err
	}
	return json.Marshal(in)
}

// readInputs reads what the container with that state folder was made from.
func readInputs(dir string) (*inputs, error) {
	data, err := os.ReadFile(filepath.Join(dir, inputsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the container's state %s has no %s: an older RunCVM created it, and its plan cannot be compiled again", dir, inputsFile)
	} else if err != nil {
		return nil, fmt.Errorf("read what the container was made from: %w", err)
	}
	in := new(inputs)
	if err := json.Unmarshal(data, in); err != nil {
		return nil, fmt.Errorf("read what the container was made from, %s: %w", filepath.Join(dir, inputsFile), err)
	}
	return in, nil
}
