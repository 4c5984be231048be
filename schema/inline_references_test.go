package schema_test

import (
	"testing"

	"github.com/runcvm/runcvm/schema"
)

// TestInlineExpressionsSeeVariables wants the variables of an inline document to
// be found within expressions too: what an expression is evaluated with, and
// whether a flag wins over it, depends on them.
func TestInlineExpressionsSeeVariables(t *testing.T) {
	file, diags := schema.ParseInline([]byte(`
variable "tier" {
  default = "small"
}
locals {
  sizes = { small = 2, large = 4 }
  more  = [for n in [local.sizes[var.tier]] : n + 1][0]
}
profile "a" {
  machine {
    cpus   = max(container.cpus, local.more)
    memory = "${local.sizes["large"]}G"
  }
}
`), "label", "label")
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	if _, diags := schema.Link(file); diags.HasErrors() {
		t.Fatal(diags)
	}
	settings, diags := file.Profiles[0].Evaluate(schema.NewScope(schema.Variables{}))
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	p := schema.NewProfile()
	for _, s := range settings {
		p.Set(s)
	}
	if got := schema.MachineCPUs.Of(p); got != 3 {
		t.Errorf("cpus %d, want 3", got)
	}
	if got := p.Uses(schema.MachineCPUs.Attribute); len(got) != 2 || got[0] != "container.cpus" {
		t.Errorf("cpus uses %q, want container.cpus and local.more", got)
	}
}
