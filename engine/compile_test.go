package engine_test

import (
	"encoding/json"
	"testing"
	"testing/fstest"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/engine/ocispec"
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/schema"
)

// dockerSpec is what dockerd wrote for a container without options.
func dockerSpec(t testing.TB) *specs.Spec {
	t.Helper()
	doc, err := ocispec.Parse(readFile(t, "testdata/docker.json"), "docker.json")
	if err != nil {
		t.Fatal(err)
	}
	return &doc.Spec
}

func hostFacts(t testing.TB) *plan.Facts {
	t.Helper()
	facts := new(plan.Facts)
	if err := json.Unmarshal(readFile(t, "testdata/facts.json"), facts); err != nil {
		t.Fatal(err)
	}
	return facts
}

// resolve resolves a host profile's text, none when it is empty.
func resolve(t testing.TB, profile string, spec *specs.Spec, facts *plan.Facts) *schema.Profile {
	t.Helper()
	files := fstest.MapFS{}
	if profile != "" {
		files["test.hcl"] = &fstest.MapFile{Data: []byte(profile)}
	}
	set, diags := profiles.LoadFS(files, profiles.HostDir)
	resolved, more := profiles.Resolve(set, profiles.NewRequest(spec.Process, facts.Image), engine.Variables(spec, facts))
	if err := append(diags, more...).Err(); err != nil {
		t.Fatal(err)
	}
	return resolved
}

func compilePlan(t testing.TB, profile string) *plan.Plan {
	t.Helper()
	spec, facts := dockerSpec(t), hostFacts(t)
	p, diags := engine.Compile(resolve(t, profile, spec, facts), spec, facts)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}

// BenchmarkResolveAndCompile goes from parsed files to a plan: a profile that inherits two
// others, a policy and a variable.
func BenchmarkResolveAndCompile(b *testing.B) {
	spec, facts := dockerSpec(b), hostFacts(b)
	spec.Process.Env = append(spec.Process.Env, "RUNCVM_MEM_SIZE=1G")
	facts.Image = plan.Image{Labels: map[string]string{profiles.Label: "web"}, EnvKnown: true}
	set, diags := profiles.LoadFS(fstest.MapFS{"a.hcl": &fstest.MapFile{Data: []byte(`variable "tier" {
  default = "small"
}

profile "base" {
  machine {
    cpus   = coalesce(container.cpus, 2)
    memory = var.tier == "small" ? "256M" : "1G"
  }
}

profile "slow" {
  inherits = ["base"]
  agent {
    boot_timeout = "5m"
  }
}

profile "web" {
  inherits = ["slow"]
  kernel {
    append = ["quiet"]
  }
}

policy "site" {
  label {
    allow = ["machine.*"]
  }
  limit "machine.memory" {
    max = size(bytes(host.memory) / 4)
  }
}
`)}}, profiles.HostDir)
	if err := diags.Err(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		profile, diags := profiles.Resolve(set, profiles.NewRequest(spec.Process, facts.Image), engine.Variables(spec, facts))
		p, more := engine.Compile(profile, spec, facts)
		if append(diags, more...).HasErrors() || p.Machine.MemoryMiB != 1024 {
			b.Fatal(diags, more)
		}
	}
}
