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
