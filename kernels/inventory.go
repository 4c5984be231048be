package kernels

import (
	"path/filepath"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/treeswap"
)

// inventoryVersion is the version of an Inventory's JSON.
const inventoryVersion = "1"

// Inventory is what an installation has of kernels.
type Inventory struct {
	FormatVersion string `json:"format_version"`
	Kernels       []Item `json:"kernels"` // sorted by name
	// Built are those that were built for containers, from their images or from
	// files of the host.
	Built []Item `json:"built"`
}

// Item is a kernel's folder.
type Item struct {
	Name         string   `json:"name"` // "debian/6.1.0-56-cloud-amd64"; a digest when it was built
	Distribution string   `json:"distribution,omitempty"`
	Version      string   `json:"version"`
	Latest       bool     `json:"latest,omitempty"` // the default of its distribution
	Dir          string   `json:"dir"`
	Package      string   `json:"package"` // what it was made from
	Modules      []string `json:"modules"` // in the initramfs, in load order
	Users        int      `json:"users"`   // processes in whose containers it is mounted
	Problem      string   `json:"problem,omitempty"`
}

// TakeInventory describes the kernels below prefix. A folder without a readable
// manifest has a Problem.
func TakeInventory(prefix string) (*Inventory, error) {
	list, err := List(prefix)
	if err != nil {
		return nil, err
	}
	built, err := Built(prefix)
	if err != nil {
		return nil, err
	}
	i := &Inventory{FormatVersion: inventoryVersion, Kernels: []Item{}, Built: []Item{}}
	for _, k := range list {
		item := itemOf(k.HostDir)
		item.Name = k.Distribution + "/" + k.Version
		item.Distribution, item.Version, item.Latest = k.Distribution, k.Version, k.Default
		i.Kernels = append(i.Kernels, item)
	}
	for _, dir := range built {
		item := itemOf(dir)
		item.Name = filepath.Base(dir)
		i.Built = append(i.Built, item)
	}
	return i, nil
}

func itemOf(dir string) Item {
	item := Item{Dir: dir, Modules: []string{}}
	m, err := ReadManifest(dir)
	if err != nil {
		item.Problem = err.Error()
	}
	item.Distribution, item.Version, item.Package = m.Distribution, m.Version, m.Package
	item.Modules = append(item.Modules, m.Modules...)
	// Without /proc nobody runs a machine.
	if users, err := treeswap.Users(dir); err == nil {
		item.Users = len(users)
	}
	return item
}

// Verified is the outcome of one kernel's verification.
type Verified struct {
	Name    string `json:"name"`
	Problem string `json:"problem,omitempty"` // empty when it is intact
}

// VerifyAll verifies the kernels of these names, all that there are and those
// that were built when there are no names. A kernel that is not there is a
// NotInstalledError.
func VerifyAll(prefix string, names []string) ([]Verified, error) {
	var folders []plan.InstalledKernel
	for _, name := range names {
		k, err := LookupName(prefix, name)
		if err != nil {
			return nil, err
		}
		folders = append(folders, k)
	}
	results := []Verified{}
	if len(names) == 0 {
		var err error
		if folders, err = List(prefix); err != nil {
			return nil, err
		}
	}
	for _, k := range folders {
		results = append(results, verified(k.Distribution+"/"+k.Version, k.HostDir))
	}
	if len(names) == 0 {
		built, err := Built(prefix)
		if err != nil {
			return nil, err
		}
		for _, dir := range built {
			results = append(results, verified(filepath.Base(dir), dir))
		}
	}
	return results, nil
}

func verified(name, dir string) Verified {
	v := Verified{Name: name}
	if err := Verify(dir); err != nil {
		v.Problem = err.Error()
	}
	return v
}

// LookupName finds an installed kernel by DISTRIBUTION/VERSION; without a
// version it is the default one.
func LookupName(prefix, name string) (plan.InstalledKernel, error) {
	distribution, version, _ := strings.Cut(name, "/")
	if version == "" {
		version = latest
	}
	return Lookup(prefix, distribution, version)
}
