package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/runcvm/runcvm/engine/plan"
)

// toolsManifest is the content of plan.ToolsManifest.
type toolsManifest struct {
	QEMUVersion   string            `json:"qemu_version"`
	VirtiofsdKind string            `json:"virtiofsd_kind"`
	VirtiofsdPath string            `json:"virtiofsd_path"`
	Qboot         bool              `json:"qboot"`
	EFI           bool              `json:"efi"`
	CPUModels     []plan.CPUModel   `json:"cpu_models"`
	CPUFeatures   []string          `json:"cpu_features"`
	TCGFeatures   []string          `json:"tcg_features"`
	Suite         string            `json:"suite"`
	Packages      map[string]string `json:"packages"` // versions by name
	Inputs        string            `json:"inputs"`   // digest of what the tool root was made of
}

// ReadTools describes the tool root at root, from its manifest alone. A folder
// without one gives an error that is fs.ErrNotExist.
func ReadTools(root string) (plan.Tools, error) {
	m, err := readToolsManifest(root)
	if err != nil {
		return plan.Tools{}, err
	}
	return plan.Tools{
		Root:          root,
		QEMUVersion:   m.QEMUVersion,
		VirtiofsdKind: m.VirtiofsdKind,
		VirtiofsdPath: m.VirtiofsdPath,
		Qboot:         m.Qboot,
		EFI:           m.EFI,
		CPUModels:     m.CPUModels,
		CPUFeatures:   m.CPUFeatures,
		TCGFeatures:   m.TCGFeatures,
	}, nil
}

func readToolsManifest(root string) (toolsManifest, error) {
	var m toolsManifest
	name := filepath.Join(root, plan.ToolsManifest)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%s is not a tool root, run \"runcvm install\" to make it: %w", root, err)
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("the manifest %s is damaged, run \"runcvm install\" to make it anew: %w", name, err)
	}
	return m, nil
}
