package harness

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// EditConfig changes the config.json of a bundle.
func EditConfig(bundle string, change func(config map[string]any)) error {
	path := filepath.Join(bundle, "config.json")
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	config := map[string]any{}
	if err := json.Unmarshal(body, &config); err != nil {
		return err
	}
	change(config)
	if body, err = json.Marshal(config); err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o644)
}
