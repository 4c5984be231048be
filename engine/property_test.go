package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/engine/ocispec"
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/guest/api"
	"github.com/runcvm/runcvm/profiles"
)

// FuzzCompile: no config.json makes the compiler or the edit panic, and an
// edited one can be read again.
func FuzzCompile(f *testing.F) {
	f.Add(readFile(f, "testdata/docker.json"))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"process":null,"root":{},"linux":{"resources":{"memory":{"limit":-1},"cpu":{"quota":1,"period":0,"cpus":"0-99999"}}}}`))
	f.Add([]byte(`{"process":{"args":[""]},"root":{"path":"x"},"mounts":[{"destination":""},{"destination":"../..","type":"tmpfs"}],"linux":{"devices":[{}],"resources":{"pids":{"limit":9223372036854775807},"memory":{"limit":9223372036854775807,"swap":9223372036854775807}}}}`))
	facts := hostFacts(f)
	f.Fuzz(func(t *testing.T, config []byte) {
		doc, err := ocispec.Parse(config, "config.json")
		if err != nil {
			return
		}
		profile, diags := profiles.Resolve(new(profiles.Set), profiles.NewRequest(doc.Spec.Process, facts.Image), engine.Variables(&doc.Spec, facts))
		p, more := engine.Compile(profile, &doc.Spec, facts)
		diags = append(diags, more...)
		if _, err := plan.Encode(p); err != nil {
			t.Fatalf("encode: %v", err)
		}
		if diags.HasErrors() {
			return
		}
		ocispec.Apply(doc, &p.OCI)
		out, err := doc.Marshal()
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		again, err := ocispec.Parse(out, "config.json")
		if err != nil {
			t.Fatalf("the edited config.json cannot be read: %v", err)
		}
		if diff := cmp.Diff(p.OCI.Args, again.Spec.Process.Args); diff != "" {
			t.Errorf("another program runs:\n%s", diff)
		}
	})
}

// hostile values try to become another option, another property or another
// path.
var hostile = []string{
	",readonly=on", "a,,b", `"`, `'`, `\`, "=", " -snapshot", "\n-snapshot", "\t", "..", "../../etc", "{}", "$(id)", "\x7f", "<&>", "-S",
}

// TestValuesAddNoOptions puts hostile values wherever a string comes from
// outside, and compares the arguments with those of tame values: QEMU gets as
// many, of the same options.
func TestValuesAddNoOptions(t *testing.T) {
	tame := hostileArguments(t, "tame")
	for _, value := range hostile {
		t.Run(fmt.Sprintf("%q", value), func(t *testing.T) {
			for program, want := range tame {
				got := hostileArguments(t, value)[program]
				if len(got) != len(want) {
					t.Fatalf("%s has %d arguments, not %d: %q", program, len(got), len(want), got)
				}
				for i := range want {
					if strings.HasPrefix(want[i], "-") && got[i] != want[i] {
						t.Errorf("%s: the option %s became %q", program, want[i], got[i])
					}
					if i > 0 && want[i-1] == "-append" {
						continue // the one argument that carries such a value
					}
					if got[i] != want[i] && !strings.HasPrefix(want[i], "-") {
						t.Errorf("%s: %q became %q", program, want[i], got[i])
					}
				}
			}
		})
	}
}

// hostileArguments compiles a spec, facts and a profile full of value.
func hostileArguments(t *testing.T, value string) map[string][]string {
	t.Helper()
	spec, facts := dockerSpec(t), hostFacts(t)
	spec.Hostname, spec.Domainname = value, value
	spec.Process.Args = []string{value, value}
	spec.Process.Env = []string{"A=" + value}
	spec.Process.Cwd = value
	spec.Root.Path = value
	spec.Annotations = map[string]string{value: value}
	spec.Mounts = append(spec.Mounts, specs.Mount{Destination: value, Type: "bind", Source: value, Options: []string{value}})
	facts.Bundle = plan.Bundle{RootPath: value, StateDir: value}
	facts.Image.Labels = map[string]string{"x": value}
	facts.KVM.Reason = value
	profile := ""
	if !strings.ContainsAny(value, "\n\t\x7f") {
		profile = fmt.Sprintf("profile \"default\" {\n kernel {\n append = [%q, image.labels[\"x\"]]\n }\n}\n", value)
	}
	p, diags := engine.Compile(resolve(t, profile, spec, facts), spec, facts)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	arguments := map[string][]string{}
	for name, process := range p.Processes {
		arguments[name] = process.Argv
	}
	return arguments
}

// TestSameInputsSamePlan permutes what has no order.
func TestSameInputsSamePlan(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	labels := map[string]string{}
	for i := range 50 {
		labels[fmt.Sprint("l", i)] = fmt.Sprint(i)
	}
	var want []byte
	for range 100 {
		spec, facts := dockerSpec(t), hostFacts(t)
		keys := slices.Collect(maps.Keys(labels))
		random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		facts.Image.Labels = map[string]string{}
		for _, k := range keys {
			facts.Image.Labels[k] = labels[k]
		}
		p, diags := engine.Compile(resolve(t, "", spec, facts), spec, facts)
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		got, err := plan.Encode(p)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !bytes.Equal(want, got) {
			t.Fatalf("two plans of the same inputs differ:\n%s", cmp.Diff(string(want), string(got)))
		}
	}
}

// TestInputsStayUnchanged compiles twice from the same values.
func TestInputsStayUnchanged(t *testing.T) {
	spec, facts := dockerSpec(t), hostFacts(t)
	profile := resolve(t, "", spec, facts)
	before, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := engine.Compile(profile, spec, facts)
	p.Guest.Process.Env[0] = "changed"
	p.OCI.Mounts[0].Options = append(p.OCI.Mounts[0].Options, "changed")
	p.Guest.Mounts[0].Options[0] = "changed"
	after, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("the plan shares memory with the spec")
	}
}

// TestNamesAgreeWithTheGuest: the engine does not import the guest's packages,
// but both sides must find the same devices.
func TestNamesAgreeWithTheGuest(t *testing.T) {
	arguments := strings.Join(compilePlan(t, "").Processes["qemu"].Argv, "\n")
	for _, name := range []string{api.PortName, `"tag":"` + api.ShareTag + `"`} {
		if !strings.Contains(arguments, name) {
			t.Errorf("QEMU's arguments lack %s", name)
		}
	}
	if plan.RootMount != plan.ShareMount+"/"+api.RootDir || plan.VolumesMount != plan.ShareMount+"/"+api.VolumesDir {
		t.Error("the shared folders have other names in the guest")
	}
}

func BenchmarkCompile(b *testing.B) {
	spec, facts := dockerSpec(b), hostFacts(b)
	profile := resolve(b, "", spec, facts)
	b.ReportAllocs()
	for b.Loop() {
		if _, diags := engine.Compile(profile, spec, facts); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}

func BenchmarkEncodePlan(b *testing.B) {
	p := compilePlan(b, "")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := plan.Encode(p); err != nil {
			b.Fatal(err)
		}
	}
}
