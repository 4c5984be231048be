package profiles

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
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

// builtinDir is the folder of Builtin, and policyFile its file of policies. Each
// other file holds the profile that it is named after.
const (
	builtinDir = "builtin"
	policyFile = "policy.hcl"
	extension  = ".hcl"
)

// builtinPolicies and builtinPatches are those that come with the program,
// patches by name.
var (
	builtinPolicies = sync.OnceValue(func() []*schema.Policy {
		return parseBuiltin(Builtin, builtinDir+"/"+policyFile).Policies
	})
	builtinPatches = sync.OnceValue(func() (list []*schema.Patch) {
		for _, name := range namesIn(patches.FS, ".") {
			list = append(list, parseBuiltin(patches.FS, name).Patches...)
		}
		sortPatches(list)
		return list
	})
)

// builtinNames lists the built-in profiles.
var builtinNames = sync.OnceValue(func() (names []string) {
	for _, name := range namesIn(Builtin, builtinDir) {
		if name != policyFile {
			names = append(names, strings.TrimSuffix(name, extension))
		}
	}
	return names
})

// parsed holds the built-in profiles that were asked for, by name.
var parsed sync.Map

// builtinProfile returns the built-in profile of a name, or nil. It is parsed
// when it is asked for: a container pays for those that it has.
func builtinProfile(name string) *schema.Declaration {
	if d, ok := parsed.Load(name); ok {
		return d.(*schema.Declaration)
	}
	if !slices.Contains(builtinNames(), name) {
		return nil
	}
	d, _ := parsed.LoadOrStore(name, parseBuiltin(Builtin, builtinDir+"/"+name+extension).Profiles[0])
	return d.(*schema.Declaration)
}

// namesIn lists a folder of embedded files.
func namesIn(files fs.FS, dir string) (names []string) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		panic(fmt.Sprintf("profiles: %v", err))
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// parseBuiltin parses an embedded file. A mistake in it is a programmer's.
func parseBuiltin(files fs.FS, name string) *schema.File {
	src, err := fs.ReadFile(files, name)
	if err != nil {
		panic(fmt.Sprintf("profiles: %v", err))
	}
	file, diags := schema.ParseHCL(src, "built-in "+path.Base(name), "builtin")
	if !diags.HasErrors() {
		_, diags = schema.Link(file)
	}
	if diags.HasErrors() {
		panic("profiles: built-in file: " + diags.Error())
	}
	return file
}

func sortPatches(list []*schema.Patch) {
	slices.SortFunc(list, func(a, b *schema.Patch) int { return strings.Compare(a.Name, b.Name) })
}
