package schema

import (
	"strings"
	"testing"
)

// TestEverythingIsDescribed wants words for each variable and each function.
func TestEverythingIsDescribed(t *testing.T) {
	for _, v := range VariableList() {
		if v.Doc == "" || v.Type == "" {
			t.Errorf("variable %s: type %q, doc %q", v.Name, v.Type, v.Doc)
		}
	}
	for _, f := range Functions() {
		if f.Doc == "" || !strings.HasPrefix(f.Signature, f.Name+"(") {
			t.Errorf("function %s: signature %q, doc %q", f.Name, f.Signature, f.Doc)
		}
	}
}

func TestLookup(t *testing.T) {
	tests := map[string]struct {
		paths, err string
	}{
		"machine.cpus":  {"machine.cpus", ""},
		"cpus":          {"machine.cpus", ""},
		"firmware":      {"firmware.type", ""},
		"machine.cpu":   {"", `Did you mean "machine.cpus"?`},
		"cpu":           {"", `Did you mean "machine.cpu_model"?`},
		"machin":        {"", `Did you mean "machine"?`},
		"kernel.memory": {"", `Did you mean "machine.memory"?`},
		"":              {"", "There is neither"},
	}
	for name, test := range tests {
		found, err := Lookup(name)
		var paths []string
		for _, a := range found {
			paths = append(paths, a.Path())
		}
		if got := strings.Join(paths, " "); !strings.HasPrefix(got, test.paths) || test.paths == "" && got != "" {
			t.Errorf("Lookup(%q) = %s, want %s", name, got, test.paths)
		}
		if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("Lookup(%q): %v, want %q", name, err, test.err)
		}
	}
}

func TestLimits(t *testing.T) {
	tests := map[*Attribute][2]string{
		MachineCPUs.Attribute:      {"1", "255"},
		MachineMemory.Attribute:    {"1MiB", "1TiB"},
		AgentBootTimeout.Attribute: {"1s", "1h"},
		KernelAppend.Attribute:     {"", "64"},
		MachineAccel.Attribute:     {"", ""},
	}
	for a, want := range tests {
		if least, most := a.Limits(); least != want[0] || most != want[1] {
			t.Errorf("%s: %q to %q, want %q", a.Path(), least, most, want)
		}
	}
}

// TestCheckOfModules has what is not a profile's own: conditions, limits, locals.
func TestCheckOfModules(t *testing.T) {
	tests := map[string]string{
		`patch "a" { 
 when = host.kvm && profile.machine.cpus > 2
 reason = "r"
 set { 
 machine { 
 memory = profile.machine.memory 
 } 
 } 
}`: "",
		`patch "a" { 
 when = host.cpus
 reason = "r"
 set { 
 machine { 
 cpus = profile.kernel.append 
 } 
 } 
}`: "A patch's condition is true or false, not a number. machine.cpus is a whole number, not a list of string",
		`policy "a" {
 limit "machine.cpus" { 
 max = host.memory
 }
}`: "machine.cpus is a whole number, not a string",
		`policy "a" {
 limit "machine.memory" { 
 min = "64"
 max = var.most
 }
}
variable "most" {}`: `"64" has no unit`,
		"locals {\n a = upper(host.arch, 1)\n}": "Too many function arguments",
		`variable "n" { type = "number" }
locals { n = max(1, var.n) }
profile "a" {
 machine {
 cpus = local.n
 memory = "${local.n}G"
 }
}`: "",
	}
	for src, want := range tests {
		file, diags := ParseHCL([]byte(src), "a.hcl", "file")
		if err := diags.Err(); err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		module, _ := Link(file)
		err := module.Check().Err()
		for part := range strings.SplitSeq(want, ". ") {
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), part)) {
				t.Errorf("%s: %v, want %q", src, err, part)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	tests := map[string]string{
		"cpus = 2":                           "",
		"cpus = null":                        "",
		"cpus = 0":                           "is at least 1",
		"cpus = container.cpus":              "",
		"cpus = container.memory":            "machine.cpus is a whole number, not a string. Make the expression give a whole number.",
		"cpus = max(container.cpus, \"1G\")": "string cannot be compared with number",
		"memory = lookup(image.labels, \"memory\", \"1G\")": "",
		"memory = image.labels[\"memory\"]":                 "",
		"memory = \"${host.cpus}G\"":                        "",
		"memory = host.cpus":                                "machine.memory is a size, not a number",
		"accel = host.cpus > 4 ? \"kvm\" : 7":               "",
		"accel = [host.arch]":                               "machine.accel is a string, not a tuple",
	}
	for line, want := range tests {
		file, diags := ParseHCL([]byte("profile \"a\" {\n machine {\n "+line+"\n }\n}\n"), "a.hcl", "file")
		if err := diags.Err(); err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		module, _ := Link(file)
		err := module.Check().Err()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}
