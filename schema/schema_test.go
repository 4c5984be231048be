package schema_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/units"
)

// evaluate parses a file and evaluates all of its profiles into one.
func evaluate(src string, v schema.Variables) (*schema.Profile, diag.Diagnostics) {
	file, diags := schema.ParseHCL([]byte(src), "test.hcl", "file")
	_, linkDiags := schema.Link(file)
	diags = append(diags, linkDiags...)
	profile := schema.NewProfile()
	scope := schema.NewScope(v)
	for _, d := range file.Profiles {
		settings, more := d.Evaluate(scope)
		diags = append(diags, more...)
		for _, s := range settings {
			profile.Set(s)
		}
	}
	return profile, append(diags, scope.Diagnostics()...)
}

func TestExpressions(t *testing.T) {
	cpus, memory := 3, 300*units.MiB
	limited := schema.Variables{
		Container: schema.Container{CPUs: &cpus, Memory: &memory},
		Host:      schema.Host{CPUs: 8, Memory: 16 * units.GiB, Architecture: "amd64"},
		Image:     schema.Image{Labels: map[string]string{"mem": "2G"}},
	}
	unlimited := limited
	unlimited.Container = schema.Container{}
	tests := []struct {
		expression string
		variables  schema.Variables
		want       units.Bytes // 0 when the attribute stays unset
	}{
		{`container.memory`, limited, 300 * units.MiB},
		{`container.memory`, unlimited, 0},
		{`null`, limited, 0},
		{`coalesce(container.memory, "1G")`, unlimited, units.GiB},
		{`max(container.memory, "1G")`, limited, units.GiB},
		{`min(container.memory, "1G")`, limited, 300 * units.MiB},
		{`min(container.memory, "1G")`, unlimited, units.GiB},
		{`size(bytes(container.memory) * 2)`, limited, 600 * units.MiB},
		{`size(bytes(host.memory) / 4)`, limited, 4 * units.GiB},
		{`size(bytes(container.memory))`, unlimited, 0},
		{`lookup(image.labels, "mem", "1G")`, limited, 2 * units.GiB},
		{`lookup(image.labels, "none", "1G")`, limited, units.GiB},
		{`image.labels["mem"]`, limited, 2 * units.GiB},
		{`host.arch == "amd64" ? "3G" : "1G"`, limited, 3 * units.GiB},
		{`"${max(container.cpus, host.cpus)}G"`, limited, 8 * units.GiB},
	}
	for _, test := range tests {
		p, diags := evaluate("profile \"a\" {\n machine {\n memory = "+test.expression+"\n }\n}\n", test.variables)
		if err := diags.Err(); err != nil {
			t.Errorf("%s: %v", test.expression, err)
		} else if got := schema.MachineMemory.Of(p); got != test.want {
			t.Errorf("%s = %s, want %s", test.expression, got, test.want)
		}
	}
}

func TestValuesAndOrigins(t *testing.T) {
	p, diags := evaluate(`profile "a" {
  machine {
    accel = "tcg"
  }
  kernel {
    append = ["a", "b=\"c d\""]
  }
}
profile "b" {
  machine {
    accel = "kvm"
  }
  agent {
    boot_timeout = "1m30s"
  }
}
`, schema.Variables{})
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	if got := schema.AgentBootTimeout.Of(p); got != 90*time.Second {
		t.Errorf("boot_timeout %s", got)
	}
	if got := schema.KernelAppend.Of(p); !slices.Equal(got, []string{"a", `b="c d"`}) {
		t.Errorf("append %q", got)
	}
	o := p.Origin(schema.MachineAccel.Attribute)
	if o.Where != "test.hcl:11:13" || o.Value != `"kvm"` || len(o.Overrode) != 1 || o.Overrode[0].Where != "test.hcl:3:13" {
		t.Errorf("origin %+v", o)
	}
	if got := len(p.Origins()); got != 3 {
		t.Errorf("%d origins, want 3", got)
	}
}

// TestModule evaluates an expression with variables and locals.
func TestModule(t *testing.T) {
	const src = `variable "tier" {
  allowed = ["small", "large"]
  default = "small"
}
variable "extra" {
  type    = "list"
  default = ["a"]
}
variable "factor" {
  type    = "number"
  default = 1
}
locals {
  memory = local.sizes[var.tier]
  sizes  = { small = "256M", large = size(bytes(local.base) * 2 * var.factor) }
  base   = "1G"
}
profile "a" {
  machine {
    memory = local.memory
  }
  kernel {
    append = concat(["x=${var.tier}"], var.extra)
  }
}
`
	file, diags := schema.ParseHCL([]byte(src), "test.hcl", "file")
	_, more := schema.Link(file)
	if err := append(diags, more...).Err(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		inputs []schema.Input
		memory units.Bytes
		extra  []string
		wrong  string
	}{
		{nil, 256 * units.MiB, []string{"x=small", "a"}, ""},
		{[]schema.Input{{Name: "tier", Value: "large"}, {Name: "extra", Value: "b, c"}}, 2 * units.GiB, []string{"x=large", "b", "c"}, ""},
		{[]schema.Input{{Name: "tier", Value: "large"}, {Name: "factor", Value: "3"}, {Name: "extra", Value: ""}}, 6 * units.GiB, []string{"x=large"}, ""},
		{[]schema.Input{{Name: "tier", Value: "huge", Where: "RUNCVM_VAR_TIER"}}, 256 * units.MiB, []string{"x=small", "a"}, `RUNCVM_VAR_TIER: Value not allowed: var.tier is "small" or "large", not "huge". It is declared at test.hcl:1:10.`},
		{[]schema.Input{{Name: "factor", Value: "two", Where: "here"}}, 256 * units.MiB, []string{"x=small", "a"}, "here: Wrong type of value: var.factor is a number"},
	}
	for _, test := range tests {
		scope := schema.NewScope(schema.Variables{}, test.inputs...)
		p := schema.NewProfile()
		settings, diags := file.Profiles[0].Evaluate(scope)
		diags = append(diags, scope.Diagnostics()...)
		for _, s := range settings {
			p.Set(s)
		}
		if got := diag.OneLine(diags.Err()); (test.wrong == "") != (got == "") || !strings.Contains(got, test.wrong) {
			t.Errorf("%v: diagnostics %q, want %q", test.inputs, got, test.wrong)
		}
		if got := schema.MachineMemory.Of(p); got != test.memory {
			t.Errorf("%v: memory %s, want %s", test.inputs, got, test.memory)
		}
		if got := schema.KernelAppend.Of(p); !slices.Equal(got, test.extra) {
			t.Errorf("%v: append %q, want %q", test.inputs, got, test.extra)
		}
	}
}

func TestLinkMistakes(t *testing.T) {
	tests := map[string]string{
		"locals {\n a = local.b\n b = local.c\n c = local.a\n}\n":                            "local.a -> local.b -> local.c -> local.a",
		"locals {\n a = local.a\n}\n":                                                        "local.a -> local.a",
		"locals {\n size = 1\n b = local.sise\n}\n":                                          `Did you mean "size"?`,
		"locals {\n b = var.tier\n}\n":                                                       `Declare it: variable "tier" { default = ... }.`,
		"locals {\n a = 1\n}\nlocals {\n a = 2\n}\n":                                         "Local value defined twice: local.a is defined at test.hcl:2:2 already",
		"variable \"a\" {}\nvariable \"a\" {}\n":                                             "Variable defined twice: var.a is defined at test.hcl:1:10 already",
		"locals {\n a = 1 + \"x\"\n}\nprofile \"a\" {\n machine {\n cpus = local.a\n }\n}\n": "test.hcl:2:10: Invalid operand",
	}
	for src, want := range tests {
		_, diags := evaluate(src, schema.Variables{})
		if got := diag.OneLine(diags.Err()); len(diags) != 1 || !strings.Contains(got, want) {
			t.Errorf("%s: %s\nwant %s", src, got, want)
		}
	}
}

// TestNull gives back what an attribute was before anybody set it.
func TestNull(t *testing.T) {
	p := schema.NewProfile()
	set := func(src string) {
		t.Helper()
		file, diags := schema.ParseHCL([]byte("profile \"a\" {\n machine {\n"+src+"\n }\n}\n"), "test.hcl", "file")
		settings, more := file.Profiles[0].Evaluate(schema.NewScope(schema.Variables{}))
		if err := append(diags, more...).Err(); err != nil {
			t.Fatal(err)
		}
		for _, s := range settings {
			p.Set(s)
		}
	}
	set("cpus = 1")
	p.Rebase()
	set("cpus = 2\n memory = \"1G\"")
	set("cpus = null\n memory = null")
	if got := schema.MachineCPUs.Of(p); got != 1 {
		t.Errorf("cpus %d, want 1", got)
	}
	if p.Value(schema.MachineMemory.Attribute) != nil {
		t.Errorf("memory is %v, want none", p.Value(schema.MachineMemory.Attribute))
	}
	if o := p.Origin(schema.MachineCPUs.Attribute); o.Value != "null (1)" || len(o.Overrode) != 2 {
		t.Errorf("origin %+v", o)
	}
}

func TestPatch(t *testing.T) {
	file, diags := schema.ParseHCL([]byte(`patch "tcg" {
  when   = profile.machine.accel == "tcg" && version_compare(host.qemu, "8.0") < 0
  reason = "because"
  set {
    kernel {
      append = concat(["first"], profile.kernel.append)
    }
  }
}
profile "a" {
  machine {
    accel = "tcg"
  }
  kernel {
    append = ["second"]
  }
}
`), "test.hcl", "file")
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	for qemu, want := range map[string][]string{"7.2.22": {"first", "second"}, "10.0.2": {"second"}} {
		scope := schema.NewScope(schema.Variables{Host: schema.Host{QEMU: qemu}})
		p := schema.NewProfile()
		settings, _ := file.Profiles[0].Evaluate(scope)
		for _, s := range settings {
			p.Set(s)
		}
		applies, diags := file.Patches[0].Applies(scope, p)
		if applies {
			settings, more := file.Patches[0].Evaluate(scope, p)
			diags = append(diags, more...)
			for _, s := range settings {
				p.Set(s)
			}
		}
		if err := diags.Err(); err != nil {
			t.Error(err)
		}
		if got := schema.KernelAppend.Of(p); !slices.Equal(got, want) {
			t.Errorf("QEMU %s: append %q, want %q", qemu, got, want)
		}
	}
}

func TestFlagsWin(t *testing.T) {
	cpus := 2
	v := schema.Variables{Container: schema.Container{CPUs: &cpus}}
	tests := []struct {
		cpus, kind string
		want       int
	}{
		{"8", "flag", 2},
		{"container.cpus", "flag", 2},
		{"max(container.cpus, 4)", "file", 4},
	}
	for _, test := range tests {
		p, diags := evaluate("profile \"a\" {\n machine {\n cpus = "+test.cpus+"\n }\n}\n", v)
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		for _, s := range schema.FromFlags(p, v) {
			p.Set(s)
		}
		if got := schema.MachineCPUs.Of(p); got != test.want || p.Origin(schema.MachineCPUs.Attribute).Kind != test.kind {
			t.Errorf("cpus = %s gives %d from %+v, want %d from a %s", test.cpus, got, p.Origin(schema.MachineCPUs.Attribute), test.want, test.kind)
		}
	}
}

// TestTable wants the reference documentation of each attribute.
func TestTable(t *testing.T) {
	for _, a := range schema.Attributes() {
		if a.Doc == "" || a.Type == "" || a.Rules == "" && a.Type != schema.TypeBool {
			t.Errorf("%s is incomplete", a.Path())
		}
	}
}
