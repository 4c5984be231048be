// Package hcldiag turns HCL's diagnostics into ours. It is apart from diag so
// that packages that only report need not contain an HCL parser.
package hcldiag

import (
	"github.com/hashicorp/hcl/v2"

	"github.com/runcvm/runcvm/internal/diag"
)

// Range converts a place.
func Range(r hcl.Range) diag.Range {
	return diag.Range{
		File:  r.Filename,
		Start: diag.Pos{Line: r.Start.Line, Column: r.Start.Column, Byte: r.Start.Byte},
		End:   diag.Pos{Line: r.End.Line, Column: r.End.Column, Byte: r.End.Byte},
	}
}

// Convert converts diagnostics about src. HCL's own details are whole sentences
// already.
func Convert(in hcl.Diagnostics, src []byte, context string) diag.Diagnostics {
	var out diag.Diagnostics
	for _, d := range in {
		severity := diag.Error
		if d.Severity == hcl.DiagWarning {
			severity = diag.Warning
		}
		converted := &diag.Diagnostic{Severity: severity, Summary: d.Summary, Detail: d.Detail}
		if d.Subject != nil {
			r := Range(*d.Subject)
			converted.Range = &r
			converted.Snippet = diag.Excerpt(src, r, context)
		}
		out = append(out, converted)
	}
	return out
}

// At makes an error at a place of src.
func At(src []byte, r hcl.Range, context, summary, detail string) *diag.Diagnostic {
	place := Range(r)
	return &diag.Diagnostic{
		Severity: diag.Error, Summary: summary, Detail: detail,
		Range: &place, Snippet: diag.Excerpt(src, place, context),
	}
}
