package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// recordName is the file that marks a folder as an installation of ours, and
// keeps what an uninstallation must know.
const recordName = "install.json"

// record is the content of that file.
type record struct {
	Format int            `json:"format"`
	Docker []dockerRecord `json:"docker,omitempty"` // where the runtime is registered
}

// dockerRecord is what has been done to Docker's configuration.
type dockerRecord struct {
	Config string `json:"config"`
	// Created: the file, and CreatedDir: its folder, was not there before.
	Created    bool `json:"created,omitempty"`
	CreatedDir bool `json:"created_dir,omitempty"`
}

// checkPrefix refuses folders that are not for us to fill and remove.
func checkPrefix(prefix string) error {
	switch {
	case !filepath.IsAbs(prefix):
		return fmt.Errorf("unsuitable prefix: %q is not an absolute path, by which containers could find it", prefix)
	case filepath.Clean(prefix) == "/":
		return errors.New("unsuitable prefix: / is the host's own root; choose a folder of its own, such as " + DefaultPrefix)
	case filepath.Clean(prefix) != prefix:
		return fmt.Errorf("unsuitable prefix: write %q as %q", prefix, filepath.Clean(prefix))
	}
	entries, err := os.ReadDir(prefix)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unsuitable prefix: %w", err)
	}
	if _, err := readRecord(prefix); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("unsuitable prefix: %s holds other files and no installation of runcvm (there is no %s in it); choose an empty folder", prefix, recordName)
		}
		return err
	}
	return nil
}

// preparePrefix makes the folder and marks it as ours before anything else is
// in it, so that an interrupted installation can be repeated or removed.
func preparePrefix(prefix string) error {
	if err := os.MkdirAll(prefix, 0o755); err != nil {
		return err
	}
	if _, err := readRecord(prefix); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeRecord(prefix, record{Format: 1})
}

func readRecord(prefix string) (record, error) {
	var r record
	name := filepath.Join(prefix, recordName)
	data, err := os.ReadFile(name)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("the record %s is damaged: %w", name, err)
	}
	if r.Format != 1 {
		return r, fmt.Errorf("%s has format %d, which another version of runcvm made: use that one", name, r.Format)
	}
	return r, nil
}

func writeRecord(prefix string, r record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(prefix, recordName), append(data, '\n'), 0o644)
}
