// Package archtest holds the rules of who may import whom, and the test that
// enforces them over the whole module.
package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// Module is the module's path.
const Module = "github.com/runcvm/runcvm"

// Package is what a rule sees of a package, as go list -json prints it.
type Package struct {
	ImportPath string
	Imports    []string // direct ones, of the package itself, not of its tests
	Deps       []string // all, direct and indirect
}

// Rule forbids imports.
type Rule struct {
	// Packages are those that the rule is about, by their path in the module; a
	// trailing /... means those below as well. Except lists packages it spares.
	Packages, Except []string
	// Never are forbidden import paths in the same form; those that begin with
	// "./" are in the module.
	Never []string
	// Indirect forbids them through other packages as well.
	Indirect bool
	// Reason says what the rule protects.
	Reason string
}

// parsers read HCL and YAML.
var parsers = []string{"github.com/hashicorp/hcl/...", "github.com/zclconf/go-cty/...", "gopkg.in/yaml.v3", "go.yaml.in/yaml/..."}

// Rules is the table of docs/architecture.md.
var Rules = []Rule{
	{
		Packages: []string{"schema/...", "profiles/...", "engine/..."},
		Never:    []string{"./runtime/...", "./guest/...", "./cmd/..."},
		Indirect: true,
		Reason:   "the engine decides from values alone; effects and the guest's wire are for those who execute its plan",
	},
	{
		Packages: []string{"schema/...", "profiles/...", "engine/..."},
		Never:    []string{"os/exec", "net", "golang.org/x/sys/...", "math/rand/...", "crypto/rand"},
		Reason:   "the same inputs must give the same plan: no processes, no network, no randomness",
	},
	{
		Packages: []string{"schema/...", "engine/..."},
		Never:    []string{"os/user", "syscall"},
		Reason:   "a plan does not depend on the machine that compiles it",
	},
	{
		Packages: []string{"runtime/..."},
		Except:   []string{"runtime/oci/..."},
		Never:    append([]string{"./schema/...", "./profiles/...", "./engine", "./engine/ocispec"}, parsers...),
		Indirect: true,
		Reason:   "the runtime executes resolved plans and decides nothing: it sees engine/plan and engine/qemu only",
	},
	{
		Packages: []string{"runtime/oci/..."},
		Never:    parsers,
		Reason:   "runtime/oci calls the engine with files and gets a plan; the language's parsers stay behind it",
	},
	{
		Packages: []string{"guest/...", "cmd/runcvm-guest"},
		Never:    append([]string{"./schema/...", "./profiles/...", "./engine/...", "./runtime/..."}, parsers...),
		Indirect: true,
		Reason:   "the guest's PID 1 is in every initramfs and stays small",
	},
	{
		Packages: []string{"guest/api"},
		Never:    []string{"./internal/...", "golang.org/x/sys/...", "os/exec"},
		Indirect: true,
		Reason:   "the wire is shared by both sides: types and framing, no behaviour of either",
	},
	{
		Packages: []string{"conformance/..."},
		Never:    []string{"./..."},
		Reason:   "the suites drive the built binary from outside, as a user does",
	},
}

// Check returns what breaks the rules, a sentence each, sorted.
func Check(rules []Rule, packages []Package) []string {
	var broken []string
	for _, p := range packages {
		path, ours := strings.CutPrefix(p.ImportPath, Module+"/")
		if !ours {
			continue
		}
		for _, r := range rules {
			if !matchesAny(path, r.Packages) || matchesAny(path, r.Except) {
				continue
			}
			imports := p.Imports
			if r.Indirect {
				imports = p.Deps
			}
			for _, i := range imports {
				if r.forbids(i, p.ImportPath) {
					broken = append(broken, fmt.Sprintf("%s imports %s: %s", path, strings.TrimPrefix(i, Module+"/"), r.Reason))
				}
			}
		}
	}
	slices.Sort(broken)
	return slices.Compact(broken)
}

// forbids reports whether the rule forbids the package self to import path.
// Packages that the rule is about may import each other.
func (r *Rule) forbids(path, self string) bool {
	local, ours := strings.CutPrefix(path, Module+"/")
	for _, pattern := range r.Never {
		if inModule, ok := strings.CutPrefix(pattern, "./"); ok {
			if ours && matches(local, inModule) && !sameTree(local, strings.TrimPrefix(self, Module+"/")) {
				return true
			}
		} else if !ours && matches(path, pattern) {
			return true
		}
	}
	return false
}

// sameTree reports whether two packages are in the same top folder: a suite's
// packages may share code.
func sameTree(a, b string) bool {
	first, _, _ := strings.Cut(a, "/")
	second, _, _ := strings.Cut(b, "/")
	return first == second
}

func matchesAny(path string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(path, p) })
}

// matches is the go command's matching of a pattern with a trailing "/...".
func matches(path, pattern string) bool {
	if pattern == "..." {
		return true
	}
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == tree || strings.HasPrefix(path, tree+"/")
	}
	return path == pattern
}
