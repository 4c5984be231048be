package facts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/engine/plan"
)

func TestReadHugePages(t *testing.T) {
	dir := t.TempDir()
	for size, numbers := range map[string]map[string]string{
		"hugepages-1048576kB": {"nr_hugepages": "2", "free_hugepages": "1", "resv_hugepages": "1"},
		"hugepages-2048kB":    {"nr_hugepages": "12", "free_hugepages": "9", "resv_hugepages": "4", "nr_overcommit_hugepages": "3", "surplus_hugepages": "1"},
		"other":               {},
	} {
		for _, name := range []string{"nr_hugepages", "free_hugepages", "resv_hugepages", "nr_overcommit_hugepages", "surplus_hugepages"} {
			text := numbers[name]
			if text == "" {
				text = "0"
			}
			if err := os.MkdirAll(filepath.Join(dir, size), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, size, name), []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := readHugePages(dir)
	want := []plan.HugePages{{SizeKiB: 2048, Total: 12, Free: 7}, {SizeKiB: 1048576, Total: 2}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := readHugePages(filepath.Join(dir, "none")); err != nil || got != nil {
		t.Errorf("a kernel without huge pages: %v, %v", got, err)
	}
	if err := os.Remove(filepath.Join(dir, "hugepages-2048kB", "free_hugepages")); err != nil {
		t.Fatal(err)
	}
	if _, err := readHugePages(dir); err == nil {
		t.Error("no error for a number that is missing")
	}
}
