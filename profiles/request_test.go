package profiles

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// TestBuiltinPolicyKnowsEveryAttribute makes a new attribute a decision: what an
// image may set is listed, and so is what it may not.
func TestBuiltinPolicyKnowsEveryAttribute(t *testing.T) {
	for _, p := range builtinPolicies() {
		for _, a := range schema.Attributes() {
			_, allowed := schema.Matches(p.Label.Allow, a.Path())
			_, denied := schema.Matches(p.Label.Deny, a.Path())
			if allowed == denied {
				t.Errorf("%s: write it into allow or into deny of the label block in builtin/policy.hcl", a.Path())
			}
		}
		for _, r := range slices.Concat(p.Label.Allow, p.Label.Deny) {
			if strings.ContainsAny(strings.TrimPrefix(r.Name, "var."), "*?[") && r.Name != "var.*" {
				t.Errorf("%s: %q would hold for attributes that are not there yet", r.Place, r.Name)
			}
		}
	}
}

// TestBuiltinProfilesResolve names each of them by the label.
func TestBuiltinProfilesResolve(t *testing.T) {
	for _, name := range builtinNames() {
		// A file that has more would hide it.
		if file := parseBuiltin(Builtin, builtinDir+"/"+name+extension); len(file.Profiles) != 1 || file.Profiles[0].Name != name || len(file.Policies)+len(file.Patches) > 0 {
			t.Errorf("builtin/%s%s: want the profile %q, and nothing else", name, extension, name)
		}
		p, diags := Resolve(new(Set), asks(name), schema.Variables{})
		if err := diags.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := p.Names[len(p.Names)-1]; got != name {
			t.Errorf("%s: the last profile is %s", name, got)
		}
		if len(p.Warnings) > 0 {
			t.Errorf("%s: %v", name, p.Warnings)
		}
	}
}

// TestVariableNames wants one variable for each attribute, and no name twice.
func TestVariableNames(t *testing.T) {
	seen := map[string]bool{profileVariable: true}
	for _, name := range schema.VariableNames() {
		if seen[name] || strings.HasPrefix(name, inputPrefix) || !strings.HasPrefix(name, schema.VariablePrefix) {
			t.Errorf("%s is taken", name)
		}
		seen[name] = true
	}
}

// TestWhoAsks wants a variable to count as the image's exactly when it is the
// image's own, or when that is not known.
func TestWhoAsks(t *testing.T) {
	set, diags := LoadFS(files(map[string]string{"policy.hcl": "policy \"p\" {\n label {\n allow = []\n }\n}\n"}), HostDir)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		env     []string
		image   plan.Image
		refused bool
	}{
		"given":               {[]string{"RUNCVM_CPUS=2"}, plan.Image{EnvKnown: true}, false},
		"given over":          {[]string{"RUNCVM_CPUS=2"}, plan.Image{EnvKnown: true, Env: []string{"RUNCVM_CPUS=3"}}, false},
		"the image's":         {[]string{"RUNCVM_CPUS=2"}, plan.Image{EnvKnown: true, Env: []string{"RUNCVM_CPUS=2"}}, true},
		"not known":           {[]string{"RUNCVM_CPUS=2"}, plan.Image{}, true},
		"withdrawn":           {[]string{"RUNCVM_CPUS="}, plan.Image{EnvKnown: true, Env: []string{"RUNCVM_CPUS=2"}}, false},
		"the last one counts": {[]string{"RUNCVM_CPUS=2", "RUNCVM_CPUS="}, plan.Image{EnvKnown: true, Env: []string{"RUNCVM_CPUS=2"}}, false},
		"profile":             {[]string{"RUNCVM_PROFILE=machine: {cpus: 2}"}, plan.Image{}, true},
		"nobody":              {[]string{"CPUS=2"}, plan.Image{}, false},
	}
	for name, test := range tests {
		_, diags := Resolve(set, Request{Image: test.image, Env: test.env}, schema.Variables{})
		if refused := diags.HasErrors(); refused != test.refused || refused && diags[0].Summary != DeniedSummary {
			t.Errorf("%s: refused is %t, want %t: %v", name, refused, test.refused, diags)
		}
	}
}

// TestHostPoliciesReplaceParts wants what the host's policies say in place of
// the same part of the built-in one, and no more.
func TestHostPoliciesReplaceParts(t *testing.T) {
	tests := []struct {
		policy                  string
		label, variable, limits []string // the policies that count
	}{
		{``, []string{"built-in"}, []string{"built-in"}, []string{"built-in machine.cpus", "built-in machine.max_cpus", "built-in machine.memory", "built-in machine.max_memory"}},
		{`variable {}`, []string{"built-in"}, []string{"p"}, []string{"built-in machine.cpus", "built-in machine.max_cpus", "built-in machine.memory", "built-in machine.max_memory"}},
		{"label {\n deny = [\"kernel.*\"]\n }", []string{"p", "built-in"}, []string{"built-in"}, []string{"built-in machine.cpus", "built-in machine.max_cpus", "built-in machine.memory", "built-in machine.max_memory"}},
		{"label {\n allow = [\"*\"]\n }\n limit \"machine.cpus\" {\n max = 2\n }", []string{"p"}, []string{"built-in"}, []string{"p machine.cpus", "built-in machine.max_cpus", "built-in machine.memory", "built-in machine.max_memory"}},
	}
	for _, test := range tests {
		set, diags := LoadFS(files(map[string]string{"p.hcl": "policy \"p\" {\n" + test.policy + "\n}\n"}), HostDir)
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		r := newRules(set.policies)
		names := func(grants []grant) (list []string) {
			for _, g := range grants {
				list = append(list, g.policy.Name)
			}
			return list
		}
		var limits []string
		for _, l := range r.limits {
			limits = append(limits, l.policy.Name+" "+l.Attribute.Path())
		}
		if diff := cmp.Diff([][]string{test.label, test.variable, test.limits}, [][]string{names(r.label), names(r.variable), limits}); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.policy, diff)
		}
	}
}

// TestRequiredIsNotUndone tries every source against a required profile.
func TestRequiredIsNotUndone(t *testing.T) {
	set, diags := LoadFS(files(map[string]string{
		"p.hcl": "policy \"p\" {\n required_profiles = [\"must\"]\n}\n" + declare("must", 3) + declare("other", 2, "must") + declare("default", 4),
	}), HostDir)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	cpus := 7
	for name, request := range map[string]Request{
		"nothing":  {},
		"name":     asks("other"),
		"inline":   asks("machine { cpus = 5 }"),
		"inherits": asks("inherits = [\"other\"]\nmachine {\n cpus = null\n}\n"),
		"variable": {Env: []string{"RUNCVM_CPUS=6"}},
	} {
		for _, flag := range []*int{nil, &cpus} {
			p, diags := Resolve(set, request, schema.Variables{Container: schema.Container{CPUs: flag}})
			if err := diags.Err(); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got := schema.MachineCPUs.Of(p); got != 3 {
				t.Errorf("%s: %d vCPUs", name, got)
			}
			if len(p.Warnings) != 1 {
				t.Errorf("%s: warnings %v", name, p.Warnings)
			}
		}
	}

	set, _ = LoadFS(files(map[string]string{"p.hcl": "policy \"p\" {\n required_profiles = [\"mst\", \"sub\"]\n forbidden_profiles = [\"su*\"]\n}\n" + declare("must", 3) + declare("sub", 3)}), HostDir)
	_, diags = Resolve(set, Request{}, schema.Variables{})
	told := diag.OneLine(diags.Err())
	for _, want := range []string{`requires the profile "mst", which does not exist. Did you mean "must"?`, `The policy "p" of this host forbids the profile "sub", by "su*"`} {
		if !strings.Contains(told, want) {
			t.Errorf("%s\nlacks %s", told, want)
		}
	}
}

// TestOrderOfRequestsMeansNothing shuffles the environment.
func TestOrderOfRequestsMeansNothing(t *testing.T) {
	env := []string{"RUNCVM_KERNEL=debian/1", "RUNCVM_KERNEL_VERSION=2", "RUNCVM_CPUS=2", "RUNCVM_MEM_SIZE=1G", "RUNCVM_BIOS=x", "RUNCVM_X=1", "RUNCVM_VAR_A=1", "RUNCVM_PROFILE=debug"}
	var first string
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		random.Shuffle(len(env), func(i, j int) { env[i], env[j] = env[j], env[i] })
		p, diags := Resolve(new(Set), Request{Env: env, Image: plan.Image{Labels: map[string]string{"runcvm.a": "", "runcvm.b": "", "runcvm.var.x": ""}}}, schema.Variables{})
		got := fmt.Sprint(p.Origins(), p.Names, diag.OneLine(diags))
		if first == "" {
			first = got
		}
		if got != first {
			t.Fatalf("%s\nwas %s", got, first)
		}
	}
}

// TestAliases sets one attribute by two of its names.
func TestAliases(t *testing.T) {
	for _, test := range []struct {
		env   []string
		wrong string
	}{
		{[]string{"RUNCVM_MEMORY=1G", "RUNCVM_MEM_SIZE=1024M"}, ""},
		{[]string{"RUNCVM_MEMORY=1G", "RUNCVM_MEM_SIZE="}, ""},
		{[]string{"RUNCVM_MEMORY=1G", "RUNCVM_MEM_SIZE=2G"}, "RUNCVM_MEM_SIZE: Value given twice: RUNCVM_MEMORY and RUNCVM_MEM_SIZE both set machine.memory"},
		{[]string{"RUNCVM_KERNEL=debian/1", "RUNCVM_KERNEL_VERSION=2"}, ""},
	} {
		_, diags := Resolve(new(Set), Request{Env: test.env}, schema.Variables{})
		if got := diag.OneLine(diags.Err()); !strings.Contains(got, test.wrong) || (got == "") != (test.wrong == "") {
			t.Errorf("%v: %s\nwant %s", test.env, got, test.wrong)
		}
	}
}

// TestInputs gives variables of modules their values.
func TestInputs(t *testing.T) {
	host := map[string]string{
		"a.hcl": "variable \"two-words\" {\n type = \"number\"\n default = 1\n}\nprofile \"a\" {\n machine {\n cpus = var.two-words\n }\n}\n",
		"p.hcl": "policy \"p\" {\n label {\n allow = [\"var.two-*\", \"machine.*\"]\n }\n}\n",
	}
	set, diags := LoadFS(files(host), HostDir)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		labels map[string]string
		env    []string
		cpus   int
		wrong  string
	}{
		{map[string]string{"runcvm.var.two-words": "2"}, nil, 2, ""},
		{nil, []string{"RUNCVM_VAR_TWO_WORDS=3"}, 3, ""},
		{map[string]string{"runcvm.var.two-words": "2"}, []string{"RUNCVM_VAR_TWO_WORDS=3"}, 3, ""},
		{map[string]string{"runcvm.var.two_words": "2"}, nil, 1, `label runcvm.var.two_words: Unknown variable: The image's label runcvm.var.two_words gives a value for the variable "two_words" of the profiles, which none of them declares. Did you mean "two-words"?`},
		{nil, []string{"RUNCVM_VAR_TWO_WORDS=many"}, 1, `RUNCVM_VAR_TWO_WORDS: Wrong type of value: var.two-words is a number; "many" is none. It is declared at /etc/runcvm/profiles/a.hcl:1:10.`},
		{nil, []string{"RUNCVM_VAR_TWO_WORDS=" + strings.Repeat("1", 5000)}, 1, "RUNCVM_VAR_TWO_WORDS: Value too long: The variable RUNCVM_VAR_TWO_WORDS has 5000 bytes; a value has at most 4096."},
		{nil, []string{"RUNCVM_VAR_X=1"}, 1, `The variables here are "two-words".`},
	}
	for _, test := range tests {
		labels := map[string]string{Label: "a"}
		for name, value := range test.labels {
			labels[name] = value
		}
		p, diags := Resolve(set, Request{Image: plan.Image{Labels: labels, EnvKnown: true}, Env: test.env}, schema.Variables{})
		if got := diag.OneLine(diags.Err()); !strings.Contains(got, test.wrong) || (got == "") != (test.wrong == "") || len(diags) > 1 {
			t.Errorf("%v %v: %s\nwant %s", test.labels, test.env, got, test.wrong)
		}
		if got := schema.MachineCPUs.Of(p); got != test.cpus {
			t.Errorf("%v %v: %d vCPUs, want %d", test.labels, test.env, got, test.cpus)
		}
	}
}

// TestManyMistakesOfADocument are told up to a bound.
func TestManyMistakesOfADocument(t *testing.T) {
	_, diags := Resolve(new(Set), asks("machine {\n"+strings.Repeat(" x = 1\n", 50)+strings.Repeat(" y { }\n", 500)+"}\n"), schema.Variables{})
	if n := len(diags); n != maxTold+1 || diags[0].Summary != "Further mistakes" && diags[n-1].Summary != "Further mistakes" {
		t.Errorf("%d diagnostics: %v", n, diags)
	}
}

// TestHugeRequests wants short messages for what is long.
func TestHugeRequests(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	labels := map[string]string{"runcvm." + long: "", "runcvm.var." + long: "", Label: strings.Repeat("a,", 1<<19)}
	for i := range 1000 {
		labels[fmt.Sprintf("runcvm.x%d", i)] = ""
	}
	for _, request := range []Request{
		{Image: plan.Image{Labels: labels}},
		{Env: []string{"RUNCVM_" + strings.ToUpper(long) + "=1", "RUNCVM_CPUS=" + long, "RUNCVM_KERNEL_APPEND=" + long, "RUNCVM_PROFILE=" + long}},
		{Env: []string{"RUNCVM_PROFILE={" + long}},
	} {
		_, diags := Resolve(new(Set), request, schema.Variables{})
		if told := len(diag.OneLine(diags.Err())); told == 0 || told > 1<<15 {
			t.Errorf("%d bytes of messages", told)
		}
	}
}

// FuzzRequest resolves what an image may bring: it neither panics nor gives an
// attribute a value that its policy denies.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][3]string{
		{"web, base", "2", "512M"},
		{"machine { cpus = 2 }", "x", ""},
		{"inherits: [web]\nkernel: {append: ['${format(\"%s\", container.env)}']}\n", "", "1G"},
		{`{"machine": {"memory": "${size(bytes(\"1G\") * 2)}"}}`, "", ""},
		{"profile \"x\" {\n inherits = [\"x\", \"default\"]\n}\nlocals {\n a = local.a\n}\n", "9999", "0"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	set, diags := LoadFS(files(map[string]string{
		"a.hcl": declare("web", 1, "base") + declare("base", 2),
		"p.hcl": "policy \"p\" {\n label {\n deny = [\"kernel.*\"]\n }\n}\n",
	}), HostDir)
	if err := diags.Err(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, label, cpus, memory string) {
		request := asks(label)
		request.Env = []string{"RUNCVM_CPUS=" + cpus, "RUNCVM_MEM_SIZE=" + memory}
		p, diags := Resolve(set, request, schema.Variables{Host: schema.Host{KVM: true}})
		if got := schema.KernelAppend.Of(p); len(got) > 0 {
			t.Errorf("kernel arguments %q", got)
		}
		if n := schema.MachineCPUs.Of(p); n < 1 || n > 255 {
			t.Errorf("%d vCPUs", n)
		}
		_ = diags.Error()
	})
}

// TestTruthOfAVariable sets an attribute that is true or false.
func TestTruthOfAVariable(t *testing.T) {
	for text, wrong := range map[string]string{"true": "", "false": "", "1": "", "0": "", "on": "", "off": "", "yes": `machine.nested is true or false, 1 or 0, or on or off; "yes" is none of them.`} {
		p, diags := Resolve(new(Set), Request{Env: []string{"RUNCVM_MACHINE_NESTED=" + text}, Image: plan.Image{EnvKnown: true}}, schema.Variables{})
		if got := diag.OneLine(diags.Err()); !strings.Contains(got, wrong) || (got == "") != (wrong == "") {
			t.Errorf("%s: %s\nwant %s", text, got, wrong)
		}
		if got := schema.MachineNested.Of(p); got != (text == "true" || text == "1" || text == "on") {
			t.Errorf("%s: %t", text, got)
		}
	}
}

// TestRequiredDisk wants no warning of what a required profile adds to what
// nobody has set.
func TestRequiredDisk(t *testing.T) {
	disk := func(name, size string) string {
		return "profile \"" + name + "\" {\n disk \"data\" {\n source = \"/d\"\n target = \"/t\"\n size = \"" + size + "\"\n }\n}\n"
	}
	set, diags := LoadFS(files(map[string]string{"p.hcl": "policy \"p\" {\n required_profiles = [\"must\"]\n}\n" + disk("must", "1G") + disk("web", "2G")}), HostDir)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"": "", "web": "disk.data.size is 2GiB by "} {
		p, diags := Resolve(set, asks(name), schema.Variables{})
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, w := range p.Warnings {
			got += w.Detail
		}
		if !strings.HasPrefix(got, want) || (got == "") != (want == "") || strings.Count(got, "requires") > 1 {
			t.Errorf("%q: %s\nwant %s", name, got, want)
		}
	}
}

// TestAnnotations has them without labels, as in a bundle, and beside labels.
func TestAnnotations(t *testing.T) {
	annotations := map[string]string{"runcvm.profile": "secure", "com.example": "x"}
	want := map[string]string{"runcvm.profile": "secure"}
	if got := WithAnnotations(nil, annotations); !maps.Equal(got, want) {
		t.Errorf("in a bundle: %v", got)
	}
	labels := map[string]string{"runcvm.profile": "debug", "a": "b"}
	want["a"] = "b"
	if got := WithAnnotations(labels, annotations); !maps.Equal(got, want) || labels["runcvm.profile"] != "debug" {
		t.Errorf("beside labels: %v of %v", got, labels)
	}
}
