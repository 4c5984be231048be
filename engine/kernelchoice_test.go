package engine_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/runcvm/runcvm/engine/plan"
)

// TestKernelChoice runs each testdata/kernels/*.txtar, whose inputs are those of
// a golden case. What comes out is the plan's kernel, the guest's mount of its
// modules and the warnings: one case for each way to a kernel.
func TestKernelChoice(t *testing.T) {
	for _, in := range kernelCases(t) {
		t.Run(in.name, func(t *testing.T) {
			name := filepath.Join("testdata/kernels", in.name+".txtar")
			want := txtar.Format(in.archive)
			archive := &txtar.Archive{Comment: in.archive.Comment}
			for _, f := range in.archive.Files {
				if !strings.HasPrefix(f.Name, "out/") {
					archive.Files = append(archive.Files, f)
				}
			}
			archive.Files = append(archive.Files, chosen(t, in))
			got := txtar.Format(archive)
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("differs from %s (-want +got; go test ./engine -update rewrites):\n%s", name, d)
			}
		})
	}
}

func kernelCases(t *testing.T) []goldenCase {
	t.Helper()
	names, err := filepath.Glob("testdata/kernels/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var cases []goldenCase
	for _, name := range names {
		c := goldenCase{name: strings.TrimSuffix(filepath.Base(name), ".txtar"), archive: txtar.Parse(readFile(t, name))}
		if err := c.readInputs("testdata"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cases = append(cases, c)
	}
	return cases
}

// chosen is what a case makes of the kernel.
func chosen(t *testing.T, in goldenCase) txtar.File {
	t.Helper()
	c, err := compileCase(in.config, in.facts, in.files)
	if err != nil {
		return txtar.File{Name: "out/error.txt", Data: []byte(err.Error())}
	}
	out := struct {
		Kernel   plan.Kernel       `json:"kernel"`
		Modules  []plan.GuestMount `json:"modules,omitempty"`
		Warnings []plan.Warning    `json:"warnings,omitempty"`
	}{Kernel: c.plan.Kernel}
	for _, m := range c.plan.Guest.Mounts {
		if strings.HasPrefix(m.Destination, "/lib/modules") {
			out.Modules = append(out.Modules, m)
		}
	}
	for _, w := range c.plan.Warnings {
		if w.Summary != "Running without KVM" {
			out.Warnings = append(out.Warnings, w)
		}
	}
	data, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return txtar.File{Name: "out/kernel.json", Data: indent(t, data)}
}
