package jsonschema

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compile makes a validator of the document as a program reads it: as JSON. It
// checks it against the metaschema of its draft.
func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(Document())
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(ID, document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(ID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDocument(t *testing.T) {
	s := compile(t)
	profile := func(body string) string { return `{"profile": {"web": {` + body + `}}}` }
	tests := map[string]struct {
		text  string
		valid bool
	}{
		"empty":               {`{}`, true},
		"a profile":           {profile(`"description": "d", "inherits": ["default"], "machine": {"cpus": 2, "memory": "1G"}, "kernel": {"append": ["quiet", "${host.arch}"]}`), true},
		"null":                {profile(`"machine": {"cpus": null}`), true},
		"expression":          {profile(`"machine": {"cpus": "${container.cpus}", "memory": "${host.cpus}G", "accel": "${host.kvm ? \"kvm\" : \"tcg\"}"}`), true},
		"list as expression":  {profile(`"kernel": {"append": "${local.arguments}"}`), true},
		"sizes":               {profile(`"machine": {"memory": "300MiB"}`), true},
		"durations":           {profile(`"agent": {"boot_timeout": "1m30.5s"}`), true},
		"a patch":             {`{"patch": {"p": {"when": "${host.kvm}", "reason": "r", "set": {"machine": {"accel": "tcg"}}}}}`, true},
		"a policy":            {`{"policy": {"p": {"label": {"allow": ["machine.*"], "inline": false}, "limit": {"machine.memory": {"max": "4G", "action": "deny"}}, "required_profiles": ["secure"]}}}`, true},
		"variables":           {`{"variable": {"tier": {"type": "string", "default": "small", "allowed": ["small", "large"]}}, "locals": {"n": 2, "m": {"a": [1]}}}`, true},
		"no object":           {`[]`, false},
		"unknown block":       {`{"profil": {}}`, false},
		"name":                {`{"profile": {"a b": {}}}`, false},
		"unknown inner block": {profile(`"machin": {}`), false},
		"unknown attribute":   {profile(`"machine": {"cpu": 2}`), false},
		"number as text":      {profile(`"machine": {"cpus": "2"}`), false},
		"fraction":            {profile(`"machine": {"cpus": 1.5}`), false},
		"too small":           {profile(`"machine": {"cpus": 0}`), false},
		"too large":           {profile(`"machine": {"cpus": 256}`), false},
		"size without a unit": {profile(`"machine": {"memory": "512"}`), false},
		"size as number":      {profile(`"machine": {"memory": 512}`), false},
		"duration":            {profile(`"agent": {"boot_timeout": "60"}`), false},
		"choice":              {profile(`"machine": {"accel": "kwm"}`), false},
		"list":                {profile(`"kernel": {"append": "quiet"}`), false},
		"element":             {profile(`"kernel": {"append": [1]}`), false},
		"empty element":       {profile(`"kernel": {"append": [""]}`), false},
		"patch without when":  {`{"patch": {"p": {"reason": "r", "set": {}}}}`, false},
		"patch without set":   {`{"patch": {"p": {"when": true, "reason": "r"}}}`, false},
		"limit of text":       {`{"policy": {"p": {"limit": {"machine.accel": {"max": "kvm"}}}}}`, false},
		"variable's type":     {`{"variable": {"tier": {"type": "size"}}}`, false},
	}
	for name, test := range tests {
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(test.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := s.Validate(instance); (err == nil) != test.valid {
			t.Errorf("%s: %s: valid is %t, want %t: %v", name, test.text, err == nil, test.valid, err)
		}
	}
}
