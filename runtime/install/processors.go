package install

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
)

// askProcessors asks QEMU which processors and features it knows, and which of
// these TCG has.
func askProcessors(ctx context.Context, root string, m *toolsManifest) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	help, err := run(ctx, inRoot(ctx, root, plan.QEMUPath, "-cpu", "help"))
	if err != nil {
		return err
	}
	cmd := inRoot(ctx, root, plan.QEMUPath, "-machine", "none,accel=tcg", "-nodefaults", "-display", "none", "-S", "-qmp", "stdio")
	cmd.Stdin = strings.NewReader(`{"execute":"qmp_capabilities"}{"execute":"query-cpu-definitions","id":"models"}` +
		`{"execute":"query-cpu-model-expansion","arguments":{"type":"full","model":{"name":"max"}},"id":"max"}{"execute":"quit"}`)
	out, err := run(ctx, cmd)
	if err != nil {
		return err
	}
	if m.CPUFeatures = parseFeatures(string(help)); len(m.CPUFeatures) == 0 {
		return errors.New("qemu-system-x86_64 -cpu help lists no features")
	}
	if m.CPUModels, m.TCGFeatures, err = parseProcessors(out, m.CPUFeatures); err != nil {
		return fmt.Errorf("ask QEMU for its processors: %w", err)
	}
	return nil
}

// featuresTitle stands before the features, to the end of what "-cpu help"
// prints.
const featuresTitle = "Recognized CPUID flags:\n"

func parseFeatures(help string) []string {
	_, list, _ := strings.Cut(help, featuresTitle)
	features := strings.Fields(list)
	slices.Sort(features)
	return slices.Compact(features)
}

// parseProcessors reads QMP's answers, which lie between greeting and events.
func parseProcessors(answers []byte, features []string) (models []plan.CPUModel, tcg []string, err error) {
	for d := json.NewDecoder(bytes.NewReader(answers)); d.More(); {
		var answer struct {
			ID     string
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := d.Decode(&answer); err != nil {
			return nil, nil, err
		}
		if answer.Error != nil {
			return nil, nil, errors.New(answer.Error.Desc)
		}
		switch answer.ID {
		case "models":
			models, err = parseModels(answer.Return)
		case "max":
			tcg, err = parseMax(answer.Return, features)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if len(models) == 0 || len(tcg) == 0 {
		return nil, nil, errors.New("there is no answer")
	}
	return models, tcg, nil
}

func parseModels(text []byte) (models []plan.CPUModel, err error) {
	var definitions []struct {
		Name        string
		Unavailable []string `json:"unavailable-features"`
	}
	if err := json.Unmarshal(text, &definitions); err != nil {
		return nil, err
	}
	for _, d := range definitions {
		m := plan.CPUModel{Name: d.Name}
		if d.Name != "host" && len(d.Unavailable) > 0 { // which is not TCG's at all
			slices.Sort(d.Unavailable)
			m.TCGLacks = slices.Compact(d.Unavailable)
		}
		models = append(models, m)
	}
	slices.SortFunc(models, func(a, b plan.CPUModel) int { return cmp.Compare(a.Name, b.Name) })
	return models, nil
}

func parseMax(text []byte, features []string) (has []string, err error) {
	var expansion struct {
		Model struct{ Props map[string]any }
	}
	if err := json.Unmarshal(text, &expansion); err != nil {
		return nil, err
	}
	for _, f := range features {
		if expansion.Model.Props[f] == true {
			has = append(has, f)
		}
	}
	return has, nil
}
