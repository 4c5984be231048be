package schema

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/zclconf/go-cty/cty"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
)

// VariablePrefix begins the names of the environment variables that set
// attributes.
const VariablePrefix = "RUNCVM_"

// VariableKernel sets a kernel's distribution and version at once, as
// DISTRIBUTION or DISTRIBUTION/VERSION.
const VariableKernel = VariablePrefix + "KERNEL"

// VariableModules with any value sets kernel.modules to "all", as the shell
// scripts that came before had it.
const VariableModules = VariableKernel + "_MOUNT_LIB_MODULES"

// VariableFrontend is QEMU's -display, as the shell scripts that came before had
// it: "curses" sets display.mode to that, "none" sets nothing.
const VariableFrontend = VariablePrefix + "QEMU_DISPLAY"

// VariableHugeTLB set to 1 sets machine.memory_backend to "hugetlb".
const VariableHugeTLB = VariablePrefix + "HUGETLB"

// formerValues are values of variables, as the shell scripts that came before had
// them, with what they are now.
var formerValues = map[string]map[string]string{
	VariableHugeTLB:                      {"1": "hugetlb", "0": "memfd"},
	VariablePrefix + "BIOS":              {"EFI": "efi"},
	VariablePrefix + "QEMU_MEM_PREALLOC": {"on": "true", "off": "false"},
}

// VariableNetVHost sets network.vhost to "on" when it is 1, else to "off", as the
// shell scripts that came before had it.
const VariableNetVHost = VariablePrefix + "QEMU_NET_VHOST"

// VariableCache sets the cache policy of all shared files.
const VariableCache = VariablePrefix + "VIRTIOFSD_CACHE"

// variableOf is the name of the variable for an attribute that has none in the
// table: RUNCVM_AGENT_BOOT_TIMEOUT.
func variableOf(a *Attribute) string {
	return VariablePrefix + strings.ToUpper(a.Block+"_"+a.Name)
}

// VariableNames lists the environment variables that set attributes, each
// attribute's own one and its aliases, in the order of the table.
func VariableNames() []string {
	var names []string
	for _, a := range table {
		if a.Variable != "" {
			names = append(append(names, a.Variable), a.Aliases...)
		}
	}
	return append(names, VariableKernel, VariableDisks, VariableFrontend)
}

// MaxVariable bounds a variable's value, in bytes: more than a kernel's command line
// can hold.
const MaxVariable = 4096

// ReadVariable returns what an environment variable sets: the attribute's type
// decides how its text is read. The error says which values are allowed, or
// that the variable sets nothing; others are the names of variables that the
// caller knows itself.
func ReadVariable(name, text string, others ...string) ([]Setting, *diag.Diagnostic) {
	if len(text) > MaxVariable {
		return nil, variableError(name, "Value too long", fmt.Sprintf("The value of a variable that sets an attribute has at most %d bytes; this one has %d.", MaxVariable, len(text)))
	}
	switch name {
	case VariableKernel:
		return readKernel(text)
	case VariableDisks:
		return readDisks(text)
	case VariableFrontend:
		return readFrontend(text)
	case VariableModules:
		if text != "" {
			text = "all"
		} else {
			text = "version"
		}
	case VariableNetVHost:
		if text == "1" {
			text = "on"
		} else {
			text = "off"
		}
	}
	if now, ok := formerValues[name][text]; ok {
		text = now
	}
	for _, a := range table {
		if a.Variable == name || slices.Contains(a.Aliases, name) {
			s, wrong := a.readText(name, text)
			if wrong != nil {
				return nil, wrong
			}
			return []Setting{s}, nil
		}
	}
	known := append(VariableNames(), others...)
	hint := diag.DidYouMean(name, known)
	if hint == "" {
		hint = " Those that do are " + strings.Join(known, ", ") + "."
	}
	return nil, variableError(name, "Unknown variable", fmt.Sprintf("%s sets nothing.%s A program in the machine cannot have variables of its own that begin with %s.", name, hint, VariablePrefix))
}

func readKernel(text string) ([]Setting, *diag.Diagnostic) {
	distribution, version, found := strings.Cut(text, "/")
	if !found {
		version = "latest"
	}
	var settings []Setting
	for _, part := range []struct {
		attribute *Attribute
		text      string
	}{{KernelDistribution.Attribute, distribution}, {KernelVersion.Attribute, version}} {
		s, wrong := part.attribute.readText(VariableKernel, part.text)
		if wrong != nil {
			wrong.Detail += fmt.Sprintf(" %s is a distribution, or a distribution and a version: %s=debian/latest.", VariableKernel, VariableKernel)
			return nil, wrong
		}
		settings = append(settings, s)
	}
	return settings, nil
}

func readFrontend(text string) ([]Setting, *diag.Diagnostic) {
	switch text {
	case "none":
		return nil, nil
	case "curses":
		s, wrong := DisplayMode.readText(VariableFrontend, text)
		return []Setting{s}, wrong
	}
	return nil, variableError(VariableFrontend, "Value not allowed", fmt.Sprintf("%s is \"none\" or \"curses\", not %q.", VariableFrontend, text))
}

// readText reads a variable's text as the attribute's type.
func (a *Attribute) readText(name, text string) (Setting, *diag.Diagnostic) {
	value, wrong := a.parseText(text)
	if wrong != nil {
		return Setting{}, variableError(name, wrong.summary, wrong.detail)
	}
	return Setting{
		Attribute: a, Value: value, Place: diag.Range{File: name},
		Origin: plan.Origin{Kind: "variable", Where: name, Value: a.render(value)},
	}, nil
}

func (a *Attribute) parseText(text string) (any, *mistake) {
	v := cty.StringVal(text)
	switch a.Type {
	case TypeBool:
		switch text {
		case "true", "1", "on":
			v = cty.True
		case "false", "0", "off":
			v = cty.False
		default:
			return nil, &mistake{"Wrong type of value", fmt.Sprintf("%s is true or false, 1 or 0, or on or off; %q is none of them.", a.Path(), text)}
		}
	case TypeInt:
		n, err := cty.ParseNumberVal(text)
		if err != nil || tooLong(n) {
			return nil, &mistake{"Wrong type of value", fmt.Sprintf("%s is a %s; %q is none.", a.Path(), a.Type, text)}
		}
		v = n
	case TypeStrings:
		words, wrong := a.splitList(text)
		if wrong != "" {
			return nil, &mistake{"Unbalanced quotes", fmt.Sprintf("%s: %s", a.Path(), wrong)}
		}
		v = ctyValue(words)
	}
	return a.decode(v)
}

// splitList splits the text of a list: at white space, and at commas where they
// are in no value.
func (a *Attribute) splitList(text string) (words []string, wrong string) {
	if a.choice != nil {
		text = strings.ReplaceAll(text, ",", " ")
	}
	return splitWords(text)
}

// splitWords splits at white space that is not in double quotes, as the kernel
// splits its command line. The quotes stay.
func splitWords(text string) (words []string, wrong string) {
	quoted := false
	words = strings.FieldsFunc(text, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && unicode.IsSpace(r)
	})
	if quoted {
		return nil, "the last double quote has no other one that closes it."
	}
	return words, ""
}

func variableError(name, summary, detail string) *diag.Diagnostic {
	return &diag.Diagnostic{Severity: diag.Error, Summary: summary, Detail: detail, Range: &diag.Range{File: name}}
}

// ParseValue reads a value of the attribute with that path, as its environment
// variable has it; one of a labelled block has the label in its path. The error is a sentence.
func ParseValue(path, text string) (*Attribute, any, error) {
	var known []string
	for _, a := range table {
		known = append(known, a.Path())
		switch {
		case a.isOneOf(path):
			a = a.In(strings.Split(path, ".")[1])
		case a.Path() != path:
			continue
		case a.Labelled():
			return nil, nil, fmt.Errorf("there may be several %s blocks: name the one that is meant, as in %q", a.Block, a.In("data").Path())
		}
		value, wrong := a.parseText(text)
		if wrong != nil {
			return a, nil, fmt.Errorf("%s", wrong.detail)
		}
		return a, value, nil
	}
	return nil, nil, fmt.Errorf("there is no attribute %q.%s", path, diag.DidYouMean(path, known))
}
