package profiles

import (
	"embed"
	"fmt"
	"sync"

	"github.com/runcvm/runcvm/schema"
)

// Builtin holds the profiles that come with the program, as builtin/*.hcl.
//
//go:embed builtin/*.hcl
var Builtin embed.FS

// DefaultName is the profile that every machine begins with.
const DefaultName = "default"

// builtins parses the embedded profiles once. A mistake in them is a
// programmer's.
var builtins = sync.OnceValue(func() map[string]*schema.Declaration {
	entries, err := Builtin.ReadDir("builtin")
	if err != nil {
		panic(fmt.Sprintf("profiles: %v", err))
	}
	declarations := map[string]*schema.Declaration{}
	var files []*schema.File
	for _, e := range entries {
		src, err := Builtin.ReadFile("builtin/" + e.Name())
		if err != nil {
			panic(fmt.Sprintf("profiles: %v", err))
		}
		file, diags := schema.ParseHCL(src, "built-in "+e.Name(), "builtin")
		if diags.HasErrors() {
			panic("profiles: built-in profile: " + diags.Error())
		}
		files = append(files, file)
		for _, d := range file.Profiles {
			declarations[d.Name] = d
		}
	}
	if _, diags := schema.Link(files...); diags.HasErrors() {
		panic("profiles: built-in profiles: " + diags.Error())
	}
	return declarations
})
