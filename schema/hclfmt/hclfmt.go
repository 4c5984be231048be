// Package hclfmt lays out HCL as the HCL tools do: two spaces of indentation,
// equals signs and comments in columns. It changes nothing but white space.
package hclfmt

import (
	"bytes"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// Format lays out a file that messages call name. A file with syntax errors is
// not formatted: they are returned.
func Format(src []byte, name string) ([]byte, diag.Diagnostics) {
	if _, problems := hclsyntax.ParseConfig(src, name, hcl.InitialPos); problems.HasErrors() {
		return nil, hcldiag.Convert(problems, src, "")
	}
	out := hclwrite.Format(src)
	if !sameTokens(src, out, name) {
		var diags diag.Diagnostics
		diags.Errorf("File not formatted", "Laying out %s would change more than its white space. Lay it out by hand, and report this with the file: it is a bug of this program.", name)
		return nil, diags
	}
	return out, nil
}

// sameTokens tells whether two texts mean the same: it guards users' files
// against mistakes of the library.
func sameTokens(a, b []byte, name string) bool {
	first, problems := hclsyntax.LexConfig(a, name, hcl.InitialPos)
	second, more := hclsyntax.LexConfig(b, name, hcl.InitialPos)
	if problems.HasErrors() || more.HasErrors() || len(first) != len(second) {
		return false
	}
	for i := range first {
		if first[i].Type != second[i].Type || !bytes.Equal(first[i].Bytes, second[i].Bytes) {
			return false
		}
	}
	return true
}
