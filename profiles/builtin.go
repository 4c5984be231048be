package profiles

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/runcvm/runcvm/patches"
	"github.com/runcvm/runcvm/schema"
)

// Builtin holds the profiles and the policy that come with the program, as
// builtin/*.hcl.
//
//go:embed builtin/*.hcl
var Builtin embed.FS

// DefaultName is the profile that every machine begins with.
const DefaultName = "default"

// builtin is what comes with the program.
type builtin struct {
	profiles map[string]*schema.Declaration
	policies []*schema.Policy
	patches  []*schema.Patch // by name
}

// builtinFiles parses the embedded files once. A mistake in them is a
// programmer's.
var builtinFiles = sync.OnceValue(func() *builtin {
	b := &builtin{profiles: map[string]*schema.Declaration{}}
	for _, f := range parseBuiltin(Builtin, "builtin") {
		b.policies = append(b.policies, f.Policies...)
		for _, d := range f.Profiles {
			b.profiles[d.Name] = d
		}
	}
	for _, f := range parseBuiltin(patches.FS, ".") {
		b.patches = append(b.patches, f.Patches...)
	}
	sortPatches(b.patches)
	return b
})

func parseBuiltin(files fs.FS, dir string) []*schema.File {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		panic(fmt.Sprintf("profiles: %v", err))
	}
	var parsed []*schema.File
	for _, e := range entries {
		src, err := fs.ReadFile(files, strings.TrimPrefix(dir+"/"+e.Name(), "./"))
		if err != nil {
			panic(fmt.Sprintf("profiles: %v", err))
		}
		file, diags := schema.ParseHCL(src, "built-in "+e.Name(), "builtin")
		if diags.HasErrors() {
			panic("profiles: built-in file: " + diags.Error())
		}
		parsed = append(parsed, file)
	}
	if _, diags := schema.Link(parsed...); diags.HasErrors() {
		panic("profiles: built-in files: " + diags.Error())
	}
	return parsed
}

func builtins() map[string]*schema.Declaration { return builtinFiles().profiles }

func sortPatches(list []*schema.Patch) {
	slices.SortFunc(list, func(a, b *schema.Patch) int { return strings.Compare(a.Name, b.Name) })
}
