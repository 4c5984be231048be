package schema

// Form describes a block of a file: what it is for, and what stands in it. The
// parser knows the names; a test compares.
type Form struct {
	Block string `json:"block"`
	// Label says what the block's name is; empty for a block without one.
	Label string `json:"label,omitempty"`
	Doc   string `json:"doc"`
	// Repeated says that it may stand there more than once, under different names.
	Repeated   bool            `json:"repeated,omitempty"`
	Attributes []FormAttribute `json:"attributes,omitempty"`
	Blocks     []Form          `json:"blocks,omitempty"`
	// Settings says that the blocks of the attribute table stand in it.
	Settings bool `json:"settings,omitempty"`
	// Free says that it has whatever attributes its author likes.
	Free bool `json:"free,omitempty"`
}

// FormAttribute is an attribute of such a block.
type FormAttribute struct {
	Name     string   `json:"name"`
	Type     FormType `json:"type"`
	Doc      string   `json:"doc"`
	Required bool     `json:"required,omitempty"`
	Choice   []string `json:"choice,omitempty"`
}

// FormType is the type of such an attribute.
type FormType string

// The types. Those beside expressions are constants.
const (
	FormText      FormType = "string"
	FormTexts     FormType = "list of strings"
	FormFlag      FormType = "true or false"
	FormCondition FormType = "expression, true or false"
	FormBound     FormType = "expression of the attribute's type"
	FormAny       FormType = "any"
)

// Forms describes the blocks of a file, in the order of the reference.
func Forms() []Form {
	return []Form{profileForm, patchForm, policyForm, variableForm, localsForm}
}

var profileForm = Form{
	Block: blockProfile, Label: "the profile's name", Repeated: true, Settings: true,
	Doc: "What a machine is made of. Images and containers ask for it by its name.",
	Attributes: []FormAttribute{
		{Name: "description", Type: FormText, Doc: "What it is for, in a line."},
		{Name: "inherits", Type: FormTexts, Doc: "The profiles that it builds upon. They are merged before it, in this order."},
	},
}

var patchForm = Form{
	Block: blockPatch, Label: "the patch's name", Repeated: true,
	Doc: "Values for every machine on which a condition holds. Patches are merged after all profiles, and a plan shows those that applied.",
	Attributes: []FormAttribute{
		{Name: "when", Type: FormCondition, Required: true, Doc: "The condition. Its expression sees the merged profile as well, as profile.machine.accel. Null does not hold."},
		{Name: "reason", Type: FormText, Required: true, Doc: "Why the values are needed, in a sentence."},
		{Name: "upstream", Type: FormText, Doc: "Where the cause is tracked or documented, a URL."},
	},
	Blocks: []Form{{Block: blockSet, Settings: true, Doc: "The blocks of a profile, with the values that the patch sets."}},
}

var policyForm = Form{
	Block: blockPolicy, Label: "the policy's name", Repeated: true,
	Doc: "What this host grants: which attributes an image's label and a container's variables may set, how large machines may be, and which profiles there must or must not be.",
	Attributes: []FormAttribute{
		{Name: "description", Type: FormText, Doc: "What it is for, in a line."},
		{Name: "required_profiles", Type: FormTexts, Doc: "Profiles that are merged into every machine."},
		{Name: "forbidden_profiles", Type: FormTexts, Doc: "Patterns of profiles that no machine may have."},
	},
	Blocks: []Form{
		{Block: blockLabel, Doc: "What the label of an image may ask for.", Attributes: grantForm},
		{Block: blockVariable, Doc: "What the RUNCVM_ variables of a container may ask for.", Attributes: grantForm},
		{
			Block: blockLimit, Label: `an attribute: "machine.memory"`, Repeated: true, Doc: "Bounds of a number, a size or a duration, for every machine.",
			Attributes: []FormAttribute{
				{Name: "min", Type: FormBound, Doc: "The smallest value."},
				{Name: "max", Type: FormBound, Doc: "The largest value. An expression sees host.*, var.* and local.*."},
				{Name: "action", Type: FormText, Choice: limitActions, Doc: `What happens to a value beyond a bound: "clamp", the default, makes it the bound, with a warning; "deny" is an error.`},
			},
		},
	},
}

var grantForm = []FormAttribute{
	{Name: "allow", Type: FormTexts, Doc: `Patterns of the attributes that may be set, such as "machine.*"; without it, all of them.`},
	{Name: "deny", Type: FormTexts, Doc: "Patterns of the attributes that may not be set, also where they are allowed."},
	{Name: "profiles", Type: FormTexts, Doc: "Patterns of the profiles that may be named; without it, all of them."},
	{Name: "inline", Type: FormFlag, Doc: "Whether a whole profile may be given in place of a name; true without it."},
}

var variableForm = Form{
	Block: blockVariable, Label: "the name that follows var. in expressions", Repeated: true,
	Doc: "An input of this directory's expressions.",
	Attributes: []FormAttribute{
		{Name: "description", Type: FormText, Doc: "What it is for, in a line."},
		{Name: "type", Type: FormText, Choice: VariableTypes, Doc: `What it holds; "string" without it. Sizes and durations are strings.`},
		{Name: "default", Type: FormAny, Doc: "Its value where none is given; null without it."},
		{Name: "allowed", Type: FormTexts, Doc: "The values that a string may have."},
	},
}

var localsForm = Form{
	Block: blockLocals, Free: true, Repeated: true,
	Doc: "Names for expressions, which those of this directory see as local.NAME.",
}
