package schema

// BlockDoc describes a block of a file: what it is for, and what stands in it. The
// parser knows the names; a test compares.
type BlockDoc struct {
	Block string `json:"block"`
	// Label says what the block's name is; empty for a block without one.
	Label string `json:"label,omitempty"`
	Doc   string `json:"doc"`
	// Repeated says that it may stand there more than once, under different names.
	Repeated   bool       `json:"repeated,omitempty"`
	Attributes []FieldDoc `json:"attributes,omitempty"`
	Blocks     []BlockDoc `json:"blocks,omitempty"`
	// Settings says that the blocks of the attribute table stand in it.
	Settings bool `json:"settings,omitempty"`
	// Free says that it has whatever attributes its author likes.
	Free bool `json:"free,omitempty"`
}

// FieldDoc is an attribute of such a block.
type FieldDoc struct {
	Name     string    `json:"name"`
	Type     FieldType `json:"type"`
	Doc      string    `json:"doc"`
	Required bool      `json:"required,omitempty"`
	Choice   []string  `json:"choice,omitempty"`
}

// FieldType is the type of such an attribute.
type FieldType string

// The types. Those beside expressions are constants.
const (
	FieldText      FieldType = "string"
	FieldTexts     FieldType = "list of strings"
	FieldFlag      FieldType = "true or false"
	FieldCondition FieldType = "expression, true or false"
	FieldBound     FieldType = "expression of the attribute's type"
	FieldAny       FieldType = "any"
)

// BlockDocs describes the blocks of a file, in the order of the reference.
func BlockDocs() []BlockDoc {
	return []BlockDoc{profileDoc, patchDoc, policyDoc, variableDoc, localsDoc}
}

var profileDoc = BlockDoc{
	Block: blockProfile, Label: "the profile's name", Repeated: true, Settings: true,
	Doc: "What a machine is made of. Images and containers ask for it by its name.",
	Attributes: []FieldDoc{
		{Name: "description", Type: FieldText, Doc: "What it is for, in a line."},
		{Name: "inherits", Type: FieldTexts, Doc: "The profiles that it builds upon. They are merged before it, in this order."},
	},
}

var patchDoc = BlockDoc{
	Block: blockPatch, Label: "the patch's name", Repeated: true,
	Doc: "Values for every machine on which a condition holds. Patches are merged after all profiles, and a plan shows those that applied.",
	Attributes: []FieldDoc{
		{Name: "when", Type: FieldCondition, Required: true, Doc: "The condition. Its expression sees the merged profile as well, as profile.machine.accel. Null does not hold."},
		{Name: "reason", Type: FieldText, Required: true, Doc: "Why the values are needed, in a sentence."},
		{Name: "upstream", Type: FieldText, Doc: "Where the cause is tracked or documented, a URL."},
	},
	Blocks: []BlockDoc{{Block: blockSet, Settings: true, Doc: "The blocks of a profile, with the values that the patch sets."}},
}

var policyDoc = BlockDoc{
	Block: blockPolicy, Label: "the policy's name", Repeated: true,
	Doc: "What this host grants: which attributes an image's label and a container's variables may set, how large machines may be, and which profiles there must or must not be.",
	Attributes: []FieldDoc{
		{Name: "description", Type: FieldText, Doc: "What it is for, in a line."},
		{Name: "required_profiles", Type: FieldTexts, Doc: "Profiles that are merged into every machine."},
		{Name: "forbidden_profiles", Type: FieldTexts, Doc: "Patterns of profiles that no machine may have."},
	},
	Blocks: []BlockDoc{
		{Block: blockLabel, Doc: "What the label of an image may ask for.", Attributes: grantDoc},
		{Block: blockVariable, Doc: "What the RUNCVM_ variables of a container may ask for.", Attributes: grantDoc},
		{
			Block: blockLimit, Label: `an attribute: "machine.memory"`, Repeated: true, Doc: "Bounds of a number, a size or a duration, for every machine.",
			Attributes: []FieldDoc{
				{Name: "min", Type: FieldBound, Doc: "The smallest value."},
				{Name: "max", Type: FieldBound, Doc: "The largest value. An expression sees host.*, var.* and local.*."},
				{Name: "action", Type: FieldText, Choice: limitActions, Doc: `What happens to a value beyond a bound: "clamp", the default, makes it the bound, with a warning; "deny" is an error.`},
			},
		},
	},
}

var grantDoc = []FieldDoc{
	{Name: "allow", Type: FieldTexts, Doc: `Patterns of the attributes that may be set, such as "machine.*". Without it, all of them for variables; for images, those that the built-in policy allows.`},
	{Name: "deny", Type: FieldTexts, Doc: "Patterns of the attributes that may not be set, also where they are allowed."},
	{Name: "profiles", Type: FieldTexts, Doc: "Patterns of the profiles that may be named; without it, all of them."},
	{Name: "inline", Type: FieldFlag, Doc: "Whether a whole profile may be given in place of a name; true without it."},
}

var variableDoc = BlockDoc{
	Block: blockVariable, Label: "the name that follows var. in expressions", Repeated: true,
	Doc: "An input of this directory's expressions.",
	Attributes: []FieldDoc{
		{Name: "description", Type: FieldText, Doc: "What it is for, in a line."},
		{Name: "type", Type: FieldText, Choice: VariableTypes, Doc: `What it holds; "string" without it. Sizes and durations are strings.`},
		{Name: "default", Type: FieldAny, Doc: "Its value where none is given; null without it."},
		{Name: "allowed", Type: FieldTexts, Doc: "The values that a string may have."},
	},
}

var localsDoc = BlockDoc{
	Block: blockLocals, Free: true, Repeated: true,
	Doc: "Names for expressions, which those of this directory see as local.NAME.",
}
