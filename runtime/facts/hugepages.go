package facts

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/runcvm/runcvm/engine/plan"
)

// hugePagesDir has a folder for each size: the kernel's
// Documentation/admin-guide/mm/hugetlbpage.rst.
const hugePagesDir = "/sys/kernel/mm/hugepages"

// readHugePages reads the sizes of huge pages and how many there are of each. A
// kernel without them has none.
func readHugePages(dir string) ([]plan.HugePages, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []plan.HugePages
	for _, e := range entries {
		size, isSize := strings.CutPrefix(e.Name(), "hugepages-")
		kib, err := strconv.Atoi(strings.TrimSuffix(size, "kB"))
		if !isSize || err != nil {
			continue
		}
		numbers := map[string]int{}
		for _, name := range []string{"nr_hugepages", "free_hugepages", "resv_hugepages", "nr_overcommit_hugepages", "surplus_hugepages"} {
			text, err := os.ReadFile(filepath.Join(dir, e.Name(), name))
			if err != nil {
				return nil, fmt.Errorf("read the host's huge pages: %w", err)
			}
			if numbers[name], err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
				return nil, fmt.Errorf("read the host's huge pages: %s of %s: %w", name, e.Name(), err)
			}
		}
		free := numbers["free_hugepages"] - numbers["resv_hugepages"]
		free += max(0, numbers["nr_overcommit_hugepages"]-numbers["surplus_hugepages"])
		all = append(all, plan.HugePages{SizeKiB: kib, Total: numbers["nr_hugepages"], Free: max(0, free)})
	}
	slices.SortFunc(all, func(a, b plan.HugePages) int { return cmp.Compare(a.SizeKiB, b.SizeKiB) })
	return all, nil
}
