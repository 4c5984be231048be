package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestModuleKeepsTheRules(t *testing.T) {
	for _, broken := range Check(Rules, list(t)) {
		t.Error(broken)
	}
}

// list asks the go command for the module's packages.
func list(t *testing.T) []Package {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,Deps", Module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.String())
	}
	var packages []Package
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p Package
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) == 0 {
		t.Fatal("go list found no packages")
	}
	return packages
}

func TestCheckFindsViolations(t *testing.T) {
	pkg := func(path string, imports ...string) Package {
		p := Package{ImportPath: Module + "/" + path}
		for _, i := range imports {
			if name, ok := strings.CutPrefix(i, "./"); ok {
				i = Module + "/" + name
			}
			p.Imports = append(p.Imports, i)
			p.Deps = append(p.Deps, i)
		}
		return p
	}
	tests := map[string]struct {
		in   Package
		want []string // imports that are reported
	}{
		"engine runs a program":        {pkg("engine/qemu", "os/exec", "fmt"), []string{"os/exec"}},
		"profiles reads files":         {pkg("profiles", "os"), nil},
		"schema imports the guest":     {pkg("schema", "./guest/api"), []string{"guest/api"}},
		"engine imports its plan":      {pkg("engine", "./engine/plan", "./schema", "./internal/diag"), nil},
		"runtime imports plan":         {pkg("runtime/vmm", "./engine/plan", "./engine/qemu", "./guest/api", "os/exec"), nil},
		"runtime imports the compiler": {pkg("runtime/vmm", "./engine"), []string{"engine"}},
		"runtime parses":               {pkg("runtime/net", "gopkg.in/yaml.v3", "github.com/hashicorp/hcl/v2"), []string{"github.com/hashicorp/hcl/v2", "gopkg.in/yaml.v3"}},
		"runtime/oci compiles":         {pkg("runtime/oci", "./engine", "./profiles", "./schema"), nil},
		"PID 1 imports the plan":       {pkg("guest/initd", "./engine/plan"), []string{"engine/plan"}},
		"PID 1 parses":                 {pkg("cmd/runcvm-guest", "github.com/zclconf/go-cty/cty"), []string{"github.com/zclconf/go-cty/cty"}},
		"PID 1 does its work":          {pkg("guest/initd", "./guest/api", "./internal/linux", "os/exec"), nil},
		"conformance peeks":            {pkg("conformance", "./engine/plan"), []string{"engine/plan"}},
		"conformance shares":           {pkg("conformance/docker", "./conformance/harness"), nil},
		"a package of the same prefix": {pkg("enginetools", "os/exec"), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, sentence := range Check(Rules, []Package{test.in}) {
				_, after, _ := strings.Cut(sentence, " imports ")
				imported, _, _ := strings.Cut(after, ": ")
				got = append(got, imported)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("reported imports (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRulesHaveReasons(t *testing.T) {
	for _, r := range Rules {
		if len(r.Packages) == 0 || len(r.Never) == 0 || r.Reason == "" {
			t.Errorf("incomplete rule: %+v", r)
		}
	}
}
