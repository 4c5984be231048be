package schema

import (
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/runcvm/runcvm/internal/diag"
)

// Labelled says whether a profile may have several blocks of the type, each with
// a name that matches LabelPattern.
func Labelled(block string) bool { return isLabelled(block) }

// Blocks lists the blocks of a profile in the order of the reference.
func Blocks() []string { return blocks() }

// Paths lists the paths of all attributes, in the order of the reference.
func Paths() []string {
	paths := make([]string, len(table))
	for i, a := range table {
		paths[i] = a.Path()
	}
	return paths
}

// AttributesOf lists the attributes of a block, nil when there is no such block.
func AttributesOf(block string) []*Attribute {
	var of []*Attribute
	for _, a := range table {
		if a.Block == block {
			of = append(of, a)
		}
	}
	return of
}

// Lookup finds what a user means by name: an attribute by its path or, where
// that is unambiguous, by its name alone; or all attributes of a block. The
// error is a diagnostic with a suggestion.
func Lookup(name string) ([]*Attribute, error) {
	if of := AttributesOf(name); of != nil {
		return of, nil
	}
	var alike []*Attribute
	for _, a := range table {
		if a.Path() == name || a.isOneOf(name) {
			return []*Attribute{a}, nil
		}
		if a.Name == name {
			alike = append(alike, a)
		}
	}
	var diags diag.Diagnostics
	switch len(alike) {
	case 1:
		return alike, nil
	case 0:
		diags.Errorf("Unknown attribute", "There is neither an attribute nor a block %q.%s The blocks are %s; \"runcvm explain\" lists all attributes.",
			name, suggestion(name), diag.List(blocks()))
	default:
		paths := make([]string, len(alike))
		for i, a := range alike {
			paths[i] = a.Path()
		}
		diags.Errorf("Ambiguous attribute", "%q is an attribute of several blocks. Write one of %s.", name, diag.Choices(paths))
	}
	return nil, diags
}

// isOneOf says whether the path is that of the row in some labelled block, as a
// plan has it: "disk.data.size" for disk.size.
func (a *Attribute) isOneOf(path string) bool {
	parts := strings.Split(path, ".")
	return a.Labelled() && len(parts) == 3 && parts[0] == a.Block && parts[2] == a.Name && blockName.MatchString(parts[1])
}

// suggestion looks for a path; a word alone may be a block or an attribute's
// name as well.
func suggestion(name string) string {
	if !strings.Contains(name, ".") {
		if s := diag.DidYouMean(name, blocks()); s != "" {
			return s
		}
	}
	if s := diag.DidYouMean(name, Paths()); s != "" {
		return s
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	for _, a := range table {
		if diag.Nearest(last, []string{a.Name}) != "" {
			return ` Did you mean "` + a.Path() + `"?`
		}
	}
	return ""
}

// Choice lists the values of an attribute that is a choice, else nil.
func (a *Attribute) Choice() []string { return slices.Clone(a.choice) }

// Rule is one of an attribute's rules: the name and parameter of one of
// go-playground/validator's.
type Rule struct {
	Name, Parameter string
	// Element says that it is about the elements of a list.
	Element bool
}

// RuleList takes the attribute's rules apart.
func (a *Attribute) RuleList() []Rule {
	var rules []Rule
	element := false
	for rule := range strings.SplitSeq(a.Rules, ",") {
		name, parameter, _ := strings.Cut(rule, "=")
		if name == "dive" {
			element = true
			continue
		}
		rules = append(rules, Rule{name, parameter, element})
	}
	return rules
}

// Limits gives the smallest and the largest value as a profile writes them, ""
// where there is none. Those of a list are about its length.
func (a *Attribute) Limits() (least, most string) {
	for _, r := range a.RuleList() {
		if r.Element {
			continue
		}
		limit := r.Parameter
		if a.Type == TypeInt || a.Type == TypeBytes {
			limit = a.render(limitOf(r.Parameter, a.Type))
		}
		switch r.Name {
		case "min":
			least = limit
		case "max":
			most = limit
		}
	}
	return least, most
}

// Render writes a value of the attribute as a profile would.
func (a *Attribute) Render(value any) string { return a.render(value) }

// FunctionDoc describes a function of expressions.
type FunctionDoc struct {
	Name string `json:"name"`
	// Signature is the call with the names of its parameters.
	Signature string `json:"signature"`
	Doc       string `json:"doc"`
}

// Functions describes the functions of expressions, by name.
func Functions() []FunctionDoc {
	var docs []FunctionDoc
	for name, f := range functions() {
		docs = append(docs, FunctionDoc{Name: name, Signature: signature(name, f), Doc: functionDoc(name, f)})
	}
	slices.SortFunc(docs, func(a, b FunctionDoc) int { return strings.Compare(a.Name, b.Name) })
	return docs
}

func signature(name string, f function.Function) string {
	var parameters []string
	for _, p := range f.Params() {
		parameters = append(parameters, p.Name)
	}
	if p := f.VarParam(); p != nil {
		parameters = append(parameters, p.Name+"...")
	}
	return name + "(" + strings.Join(parameters, ", ") + ")"
}

// plainer says what a library's function does, where its own words are about
// its machinery or stand alone badly.
var plainer = map[string]string{
	"can":       `Returns whether an expression can be computed: can(regex("^v[0-9]", image.labels["tag"])).`,
	"ceil":      "Returns the smallest whole number that is not less than the number.",
	"coalesce":  "Returns the first of its values that is not null; they are of one type.",
	"concat":    `Returns one list of several: concat(local.quiet, ["nokaslr"]).`,
	"contains":  `Returns whether a list has the value: contains(container.args, "--debug").`,
	"floor":     "Returns the largest whole number that is not greater than the number.",
	"format":    `Returns a text with values in it, by the verbs of printf: format("%d-%s", 2, "a") is "2-a".`,
	"join":      `Returns the elements of lists as one text, with the separator between them: join(",", ["a", "b"]) is "a,b".`,
	"keys":      "Returns the keys of a map, sorted.",
	"length":    "Returns the number of elements of a list or a map.",
	"lookup":    `Returns the map's value at the key, or the default where the map has none: lookup(image.labels, "size", "1G").`,
	"lower":     "Returns the text in lower case.",
	"max":       "Returns the largest of numbers or of sizes; nulls do not take part.",
	"min":       "Returns the smallest of numbers or of sizes; nulls do not take part.",
	"regex":     `Returns what a regular expression (RE2) finds in a text: the match, or a list of its groups. It is an error where nothing matches: see can and try.`,
	"replace":   `Returns the text with each occurrence of a part replaced: replace("a.b", ".", "-") is "a-b".`,
	"split":     `Returns the parts of a text between separators as a list: split(",", "a,b") is ["a", "b"].`,
	"substr":    `Returns a part of a text by offset and length, in characters: substr("hello", 1, 3) is "ell".`,
	"trimspace": "Returns the text without white space at its ends.",
	"try":       `Returns the first of its expressions that can be computed: try(image.labels["size"], "1G").`,
	"upper":     "Returns the text in upper case.",
}

func functionDoc(name string, f function.Function) string {
	if doc, ok := plainer[name]; ok {
		return doc
	}
	return f.Description()
}

// VariableDoc describes a variable of expressions.
type VariableDoc struct {
	Name string `json:"name"` // "container.cpus"
	Type string `json:"type"`
	Doc  string `json:"doc"`
}

// variableDocs says what each variable is; a test wants one for each.
var variableDocs = map[string]string{
	"container.cpus":   "The vCPUs that docker run --cpus or --cpuset-cpus allows, rounded up to whole ones; null without such a limit.",
	"container.memory": "The limit of docker run --memory, as a size; null without one.",
	"container.args":   "The program that the container runs and its arguments, as a list.",
	"container.env":    `The environment of that program: container.env["A"], lookup(container.env, "A", "").`,
	"host.cpus":        "The number of the host's processors.",
	"host.memory":      "The host's RAM, as a size.",
	"host.arch":        `The host's architecture as Go names it: "amd64", "arm64".`,
	"host.kernel":      `The release of the host's kernel, as "uname -r" prints it.`,
	"host.kvm":         "Whether KVM is there and of use.",
	"host.qemu":        `The version of the installed QEMU: "7.2.22". Compare it with version_compare.`,
	"host.virtiofsd":   `Which virtiofsd is installed: "c" or "rust".`,
	"image.labels":     `The image's labels, with those of docker run --label: image.labels["a"], lookup(image.labels, "a", "1G").`,
}

// VariableList describes the variables of expressions, by name.
func VariableList() []VariableDoc {
	types := map[string]string{}
	for root, value := range NewScope(Variables{}).evalContext().Variables {
		for name, t := range value.Type().AttributeTypes() {
			types[root+"."+name] = typeName(t)
		}
	}
	var docs []VariableDoc
	for root, names := range members {
		for _, name := range names {
			full := root + "." + name
			docs = append(docs, VariableDoc{Name: full, Type: types[full], Doc: variableDocs[full]})
		}
	}
	slices.SortFunc(docs, func(a, b VariableDoc) int { return strings.Compare(a.Name, b.Name) })
	return docs
}

func typeName(t cty.Type) string { return t.FriendlyName() }

// Plain gives a value of the attribute as JSON has it: sizes and durations are
// strings, as profiles write them.
func (a *Attribute) Plain(value any) any {
	switch value.(type) {
	case bool, int, string, []string:
		return value
	default:
		return a.render(value)
	}
}
