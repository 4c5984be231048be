package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
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

// FuzzFacts: no facts make the compiler panic, and a plan without mistakes can be
// read back.
func FuzzFacts(f *testing.F) {
	f.Add(readFile(f, "testdata/facts.json"))
	f.Add([]byte(`{"host":{"architecture":"amd64","cpus":-1,"memory_mib":-1},"tools":{"virtiofsd_kind":"c","qemu_version":"7"},"kernels":[{}]}`))
	spec := dockerSpec(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		facts := new(plan.Facts)
		if err := json.Unmarshal(data, facts); err != nil {
			return
		}
		profile, diags := profiles.Resolve(new(profiles.Set), profiles.NewRequest(spec.Process, facts.Image), engine.Variables(spec, facts))
		p, more := engine.Compile(profile, spec, facts)
		encoded, err := plan.Encode(p)
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		if append(diags, more...).HasErrors() {
			return
		}
		if _, err := plan.Decode(encoded); err != nil {
			t.Fatalf("decode: %v", err)
		}
	})
}

// hostile values try to become another option, another property, another
// field or another path.
var hostile = []string{
	",readonly=on", "a,,b", `"`, `'`, `\`, "=", " -snapshot", "\n-snapshot", "\t", "..", "../../etc", "{}", "$(id)", "\x7f", "<&>", "-S",
	`","driver":"pci-testdev`, "a\x00b", "\r\n", "%s%n", "${host.arch}", "%{ if true }", "\u2028",
}

// harmless stands where the hostile values do, to compare.
const harmless = "harmless"

// TestValuesStayWhereTheyBelong puts hostile values wherever a string comes from
// outside, and compares what comes out with what comes of a harmless one: QEMU
// gets as many arguments of the same options, and the container's config.json
// has the same fields; the value is where the harmless one is, and nowhere else.
func TestValuesStayWhereTheyBelong(t *testing.T) {
	want := compileHostile(t, harmless)
	for _, value := range hostile {
		t.Run(fmt.Sprintf("%q", value), func(t *testing.T) {
			got := compileHostile(t, value)
			for path, leaf := range want {
				other, ok := got[path]
				switch {
				case !ok:
					t.Errorf("%s is gone", path)
				case !strings.Contains(leaf, harmless):
					if leaf != other {
						t.Errorf("%s was %q and is %q", path, leaf, other)
					}
				case strings.HasPrefix(path, ".qemu") || strings.HasPrefix(path, ".virtiofsd"):
					checkArgument(t, path, leaf, other, value)
				case other != strings.ReplaceAll(leaf, harmless, value) && other != strings.ReplaceAll(leaf, harmless, filepath.Clean(value)):
					t.Errorf("%s was %q and is %q", path, leaf, other)
				}
			}
			for path, leaf := range got {
				if _, ok := want[path]; !ok {
					t.Errorf("%s is new: %q", path, leaf)
				}
			}
		})
	}
}

// checkArgument wants an argument with the value that means the same as the
// one with the harmless value: its commas are doubled, or the option takes its
// value as it is.
func checkArgument(t *testing.T, path, tame, got, value string) {
	t.Helper()
	escaped := strings.ReplaceAll(tame, harmless, strings.ReplaceAll(value, ",", ",,"))
	commandLine := strings.HasPrefix(tame, "console=") // of the kernel, which -append takes as one word
	if got != escaped && !commandLine {
		t.Errorf("%s was %q and is %q", path, tame, got)
	}
}

// compileHostile compiles a spec, facts and a profile full of value, and returns
// all scalars of the programs' arguments and of the container's config.json by
// their paths. Arguments in JSON are taken apart.
func compileHostile(t *testing.T, value string) map[string]string {
	t.Helper()
	doc, err := ocispec.Parse(readFile(t, "testdata/docker.json"), "docker.json")
	if err != nil {
		t.Fatal(err)
	}
	spec, facts := &doc.Spec, hostFacts(t)
	spec.Hostname, spec.Domainname = value, value
	spec.Process.Args = []string{value, value}
	spec.Process.Env = []string{"A=" + value}
	spec.Process.Cwd = value
	spec.Root.Path = value
	spec.Annotations = map[string]string{"x": value}
	spec.Mounts = append(spec.Mounts, specs.Mount{Destination: value, Type: "bind", Source: value, Options: []string{value}})
	facts.Bundle = plan.Bundle{RootPath: value, StateDir: value}
	facts.Image.Labels = map[string]string{"x": value}
	facts.KVM.Reason = value
	profile := "profile \"default\" {\n kernel {\n append = [\"plain\"]\n }\n}\n"
	// What the kernel's command line cannot carry is a mistake of the profile.
	if !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		profile = "profile \"default\" {\n kernel {\n append = [image.labels[\"x\"]]\n }\n}\n"
	}
	p, diags := engine.Compile(resolve(t, profile, spec, facts), spec, facts)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	ocispec.Apply(doc, &p.OCI)
	config, err := doc.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	leaves := map[string]string{}
	flatten(leaves, ".config", tree(t, config))
	for name, process := range p.Processes {
		for i, argument := range process.Argv {
			path := fmt.Sprintf(".%s[%d]", name, i)
			if strings.HasPrefix(argument, `{"`) {
				flatten(leaves, path, tree(t, []byte(argument)))
			} else {
				leaves[path] = argument
			}
		}
	}
	return leaves
}

// flatten collects the scalars of a JSON tree by their paths.
func flatten(into map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			flatten(into, path+"."+key, member)
		}
	case []any:
		for i, element := range v {
			flatten(into, fmt.Sprintf("%s[%d]", path, i), element)
		}
	default:
		into[path] = fmt.Sprint(v)
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
