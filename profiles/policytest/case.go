// Package policytest runs the cases of a policy: what a container asks for, and
// what the host's policies are to make of it.
package policytest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
	"github.com/runcvm/runcvm/profiles"
	"github.com/runcvm/runcvm/schema"
	"github.com/runcvm/runcvm/schema/units"
)

// The outcomes that a case may expect.
const (
	Allow = "allow" // the machine is as it was asked for
	Deny  = "deny"  // a policy refuses the container
	Clamp = "clamp" // a limit or a required profile changes a value
)

var outcomes = []string{Allow, Deny, Clamp}

// Case is one request and what is expected of it.
type Case struct {
	Name  string
	Place diag.Range // of the name

	request   profiles.Request
	variables schema.Variables
	expect    string
	rule      string            // the policy that decides, "" for any
	message   string            // part of what it says
	values    map[string]string // of attributes, as a variable has them
}

// file is the form of a file of cases.
type file struct {
	Cases []*block `hcl:"case,block"`
}

type block struct {
	Name           string            `hcl:"name,label"`
	Label          *string           `hcl:"label"`
	Labels         map[string]string `hcl:"labels,optional"`
	Variables      map[string]string `hcl:"variables,optional"`
	ImageVariables map[string]string `hcl:"image_variables,optional"`
	CPUs           *int              `hcl:"cpus"`
	Memory         *string           `hcl:"memory"`
	Host           *host             `hcl:"host,block"`
	Expect         string            `hcl:"expect"`
	Rule           string            `hcl:"rule,optional"`
	Message        string            `hcl:"message,optional"`
	Values         map[string]string `hcl:"values,optional"`
}

// host is the machine that the case is about: cases give the same result on
// every machine.
type host struct {
	CPUs      *int    `hcl:"cpus"`
	Memory    *string `hcl:"memory"`
	KVM       *bool   `hcl:"kvm"`
	QEMU      *string `hcl:"qemu"`
	Virtiofsd *string `hcl:"virtiofsd"`
}

// Parse reads a file of cases. All of its mistakes are reported.
func Parse(src []byte, name string) ([]Case, diag.Diagnostics) {
	parsed, problems := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if problems.HasErrors() {
		return nil, hcldiag.Convert(problems, src, "")
	}
	var f file
	if problems := gohcl.DecodeBody(parsed.Body, nil, &f); problems.HasErrors() {
		return nil, hcldiag.Convert(problems, src, "")
	}
	body, _ := parsed.Body.(*hclsyntax.Body)
	var diags diag.Diagnostics
	var cases []Case
	seen := map[string]diag.Range{}
	for i, b := range f.Cases {
		at := body.Blocks[i].LabelRanges[0]
		c, wrong := b.build()
		c.Name, c.Place = b.Name, hcldiag.Range(at)
		if first, again := seen[b.Name]; again {
			wrong = append(wrong, fmt.Sprintf("A case of this name stands at %s already. Rename one of them.", first))
		}
		seen[b.Name] = c.Place
		for _, detail := range wrong {
			diags = append(diags, hcldiag.At(src, at, fmt.Sprintf("in case %q", b.Name), "Invalid case", detail))
		}
		cases = append(cases, c)
	}
	return cases, diags
}

// build makes the request of a case; wrong says in sentences what is not right
// with it.
func (b *block) build() (c Case, wrong []string) {
	if !slices.Contains(outcomes, b.Expect) {
		wrong = append(wrong, fmt.Sprintf("\"expect\" is %s, not %q.%s", diag.Choices(outcomes), b.Expect, diag.DidYouMean(b.Expect, outcomes)))
	}
	for _, path := range slices.Sorted(maps.Keys(b.Values)) {
		if _, _, err := schema.ParseValue(path, b.Values[path]); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	labels := maps.Clone(b.Labels)
	if b.Label != nil {
		if labels == nil {
			labels = map[string]string{}
		}
		labels[profiles.Label] = *b.Label
	}
	image := plan.Image{Labels: labels, Env: list(b.ImageVariables), EnvKnown: true}
	// As docker does: who runs the container overwrites what the image has.
	env := append(list(b.ImageVariables), list(b.Variables)...)
	c = Case{
		request: profiles.Request{Image: image, Env: env},
		expect:  b.Expect, rule: b.Rule, message: b.Message, values: b.Values,
	}
	c.variables.Host, wrong = b.Host.facts(wrong)
	c.variables.Image.Labels = labels
	c.variables.Container.Env, c.variables.Container.CPUs = env, b.CPUs
	if b.Memory != nil {
		size, err := units.ParseBytes(*b.Memory)
		if err != nil {
			wrong = append(wrong, "memory: "+err.Error()+".")
		}
		c.variables.Container.Memory = &size
	}
	return c, wrong
}

// facts are those of the block over those of a machine with 8 CPUs and 16 GiB.
func (h *host) facts(wrong []string) (schema.Host, []string) {
	facts := schema.Host{CPUs: 8, Memory: 16 * units.GiB, Architecture: "amd64", Kernel: "6.1.0", KVM: true, QEMU: "7.2.22", Virtiofsd: "c"}
	if h == nil {
		return facts, wrong
	}
	set(&facts.CPUs, h.CPUs)
	set(&facts.KVM, h.KVM)
	set(&facts.QEMU, h.QEMU)
	set(&facts.Virtiofsd, h.Virtiofsd)
	if h.Memory != nil {
		size, err := units.ParseBytes(*h.Memory)
		if err != nil {
			wrong = append(wrong, "host.memory: "+err.Error()+".")
		}
		facts.Memory = size
	}
	return facts, wrong
}

func set[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}

func list(variables map[string]string) []string {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		env = append(env, name+"="+variables[name])
	}
	return env
}
