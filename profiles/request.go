package profiles

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/schema"
)

// Label is the image label that names profiles, or is one.
const Label = "runcvm.profile"

// Names of requests.
const (
	labelPrefix         = "runcvm."
	variableLabelPrefix = "runcvm.var."
	profileVariable     = schema.VariablePrefix + "PROFILE"
	inputPrefix         = schema.VariablePrefix + "VAR_"
	labelKind           = "label"
	variableKind        = "variable"
)

// WithAnnotations returns the labels with the annotations that ask for something in
// their places: engines whose metadata cannot be read hand on no labels.
func WithAnnotations(labels, annotations map[string]string) map[string]string {
	merged := maps.Clone(labels)
	for name, value := range annotations {
		if !strings.HasPrefix(name, labelPrefix) {
			continue
		}
		if merged == nil {
			merged = map[string]string{}
		}
		merged[name] = value
	}
	return merged
}

// Request is what a container asks for beside docker's flags.
type Request struct {
	// Image has the labels, and what of the environment is the image's own.
	Image plan.Image
	// Env is the container's environment, NAME=VALUE; the last of a name counts.
	Env []string
}

// NewRequest returns the request of a container's process, which may be nil.
func NewRequest(process *specs.Process, image plan.Image) Request {
	r := Request{Image: image}
	if process != nil {
		r.Env = process.Env
	}
	return r
}

// asker is where a request stands. An image is trusted with less than who runs
// the container.
type asker struct {
	place string // "label runcvm.profile", "RUNCVM_CPUS": the file of places
	image bool   // policies' label grants count, else their variable grants
	note  string // why it counts as the image's, for refusals
}

const labelPlace = "label "

// clipped keeps a name from filling a message: a label's may have any length.
func clipped(name string) string {
	const most = 200
	if len(name) > most {
		return strings.ToValidUTF8(name[:most], "") + "..."
	}
	return name
}

// String names the asker at the beginning of a sentence.
func (a asker) String() string {
	if label, ok := strings.CutPrefix(a.place, labelPlace); ok {
		return "The image's label " + label
	}
	return "The variable " + a.place
}

// asked is a request, read.
type asked struct {
	selections []selection // the label's, then the variable's
	settings   []askedSetting
	inputs     []askedInput
	diags      diag.Diagnostics
}

// selection is profiles that are asked for: by name, or as a document.
type selection struct {
	asker
	names    []string
	document *schema.File // nil for names
	module   *schema.Module
}

type askedSetting struct {
	asker
	schema.Setting
}

// askedInput is a value for modules' variables. Its name is as in the request:
// "tier" of a label, "TIER" of an environment variable.
type askedInput struct {
	asker
	name, value string
}

// read finds what is asked for in labels and environment. Both are read in the
// order of names, so that the order in which they come means nothing.
func (r Request) read() *asked {
	a := &asked{}
	for _, name := range slices.Sorted(maps.Keys(r.Image.Labels)) {
		if strings.HasPrefix(name, labelPrefix) {
			a.readLabel(name, r.Image.Labels[name])
		}
	}
	env, imageEnv := environment(r.Env), environment(r.Image.Env)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if value := env[name]; value != "" {
			own, ofImage := imageEnv[name]
			by := asker{place: clipped(name), image: !r.Image.EnvKnown || ofImage && own == value}
			switch {
			case !r.Image.EnvKnown:
				by.note = " The image's own environment is not known here, so that every variable counts as the image's."
			case by.image:
				by.note = " The variable comes from the image's own environment (ENV)."
			}
			a.readVariable(by, name, value)
		}
	}
	a.diags = atMost(a.diags)
	return a
}

// environment returns the RUNCVM_* variables of a list.
func environment(list []string) map[string]string {
	env := map[string]string{}
	for _, entry := range list {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, schema.VariablePrefix) {
			env[name] = value
		}
	}
	return env
}

func (a *asked) readLabel(name, value string) {
	by := asker{place: labelPlace + clipped(name), image: true, note: " Labels given to docker run count as the image's: nothing tells them apart."}
	switch input, isInput := strings.CutPrefix(name, variableLabelPrefix); {
	case name == Label:
		a.selectProfiles(by, value, labelKind)
	case isInput && input != "":
		a.inputs = append(a.inputs, askedInput{by, input, value})
	default:
		hint := diag.DidYouMean(name, []string{Label})
		if hint == "" {
			hint = fmt.Sprintf(" Those that do are %s and %sNAME.", Label, variableLabelPrefix)
		}
		a.report(by, "Unknown label", "%s means nothing.%s", by, hint)
	}
}

func (a *asked) readVariable(by asker, name, value string) {
	switch input, isInput := strings.CutPrefix(name, inputPrefix); {
	case name == profileVariable:
		a.selectProfiles(by, value, variableKind)
	case isInput && input != "":
		a.inputs = append(a.inputs, askedInput{by, input, value})
	case by.place != name: // too long for any
		a.report(by, "Unknown variable", "%s sets nothing.", by)
	default:
		settings, wrong := schema.ReadVariable(name, value, profileVariable, inputPrefix+"NAME")
		if wrong != nil {
			a.diags = append(a.diags, wrong)
		}
		for _, s := range settings {
			if first := a.other(name, s); first != "" {
				a.report(by, "Value given twice", "%s and %s both set %s, to different values. Leave one of them out.", first, name, s.Attribute.Path())
				continue
			}
			a.settings = append(a.settings, askedSetting{by, s})
		}
	}
}

// other returns the variable that gives a setting's attribute another value, ""
// when there is none. RUNCVM_KERNEL may stand beside the variables of its parts.
func (a *asked) other(name string, s schema.Setting) string {
	for _, before := range a.settings {
		if before.Attribute == s.Attribute && before.place != schema.VariableKernel && name != schema.VariableKernel && !reflect.DeepEqual(before.Value, s.Value) {
			return before.place
		}
	}
	return ""
}

// selectProfiles reads the value of a label or variable that names profiles or
// is one.
func (a *asked) selectProfiles(by asker, value, kind string) {
	if !schema.IsDocument(value) {
		s := selection{asker: by}
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				s.names = append(s.names, name)
			}
		}
		if len(s.names) > maxNames || len(value) > maxNames*maxNames {
			a.report(by, "Too many profiles", "%s names more than %d profiles. Have one installed on the host that inherits them.", by, maxNames)
			return
		}
		a.selections = append(a.selections, s)
		return
	}
	file, diags := schema.ParseInline([]byte(value), by.place, kind)
	module, more := schema.Link(file)
	diags = append(diags, more...)
	if list := file.Profiles; len(list) > 1 {
		place := list[1].Place
		diags = append(diags, &diag.Diagnostic{
			Severity: diag.Error, Summary: "More than one profile", Range: &place, Snippet: list[1].Snippet(place),
			Detail: fmt.Sprintf("%s is one profile, and has %q and %q. Put their attributes together, or install them as files on the host and name them.", by, list[0].Name, list[1].Name),
		})
	}
	a.diags = append(a.diags, atMost(diags)...)
	a.selections = append(a.selections, selection{asker: by, document: file, module: module})
}

// maxTold bounds how many mistakes of one inline document, or of all variables
// and labels, are told: docker shows them in one line.
const maxTold = 20

// maxNames bounds a list of profiles' names.
const maxNames = 64

func atMost(diags diag.Diagnostics) diag.Diagnostics {
	if len(diags) > maxTold {
		rest := len(diags) - maxTold
		diags = diags[:maxTold]
		diags.Errorf("Further mistakes", "There are %d more.", rest)
	}
	return diags
}

func (a *asked) report(by asker, summary, format string, args ...any) {
	a.diags = append(a.diags, &diag.Diagnostic{
		Severity: diag.Error, Summary: summary, Detail: fmt.Sprintf(format, args...), Range: &diag.Range{File: by.place},
	})
}

// matches says whether an input is for a variable of that name. Environment
// variables are in capitals and have no dashes.
func (i *askedInput) matches(name string) bool {
	if strings.HasPrefix(i.place, schema.VariablePrefix) {
		return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) == i.name
	}
	return name == i.name
}
