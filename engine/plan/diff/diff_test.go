package diff

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
)

func change(t *testing.T, edit func(*plan.Plan)) []Change {
	t.Helper()
	base := func() *plan.Plan {
		return &plan.Plan{
			Origins: map[string]plan.Origin{"machine.cpus": {Kind: "file", Where: "a.hcl:1:1", Value: "1"}},
			Guest: plan.Guest{
				Process: specs.Process{Env: []string{"A=1", "A=2", "B="}},
				Mounts:  []plan.GuestMount{{Destination: "/a"}, {Destination: "/b"}},
			},
			Processes: map[string]plan.Process{"qemu": {Argv: []string{
				"qemu", "-nodefaults", "-m", "size=512M", "-device", `{"driver":"d","id":"one"}`, "-chardev", "socket,id=qmp,fd=3", "-append", "a b",
			}}},
			OCI: plan.OCI{MemoryLimit: 1<<53 + 1},
		}
	}
	after := base()
	edit(after)
	changes, err := Diff(base(), after)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// TestElements names what has changed by what tells it apart, and keeps numbers
// as they are.
func TestElements(t *testing.T) {
	tests := map[string]struct {
		edit func(*plan.Plan)
		want []string
	}{
		"nothing":        {func(*plan.Plan) {}, nil},
		"an empty list":  {func(p *plan.Plan) { p.Guest.Devices = []specs.LinuxDevice{} }, nil},
		"order":          {func(p *plan.Plan) { m := p.Guest.Mounts; m[0], m[1] = m[1], m[0] }, []string{`guest.mounts: ["/a","/b"] -> ["/b","/a"]`}},
		"one in between": {func(p *plan.Plan) { p.Guest.Mounts[1].Destination = "/c" }, []string{`guest.mounts[/b]: {"destination":"/b","type":""} -> (none)`, `guest.mounts[/c]: (none) -> {"destination":"/c","type":""}`}},
		"twice":          {func(p *plan.Plan) { p.Guest.Process.Env[1] = "A=3" }, []string{"guest.process.env[A #2]: 2 -> 3"}},
		"emptied":        {func(p *plan.Plan) { p.Guest.Process.Env[0] = "A=" }, []string{`guest.process.env[A]: 1 -> ""`}},
		"a 64-bit limit": {func(p *plan.Plan) { p.OCI.MemoryLimit++ }, []string{"oci.memory_limit: 9007199254740993 -> 9007199254740994"}},
		"an option":      {func(p *plan.Plan) { p.Processes["qemu"].Argv[3] = "size=1G" }, []string{"processes.qemu.argv[-m]: size=512M -> size=1G"}},
		"a device":       {func(p *plan.Plan) { p.Processes["qemu"].Argv[5] = `{"driver":"e","id":"one"}` }, []string{`processes.qemu.argv[-device one]: {"driver":"d","id":"one"} -> {"driver":"e","id":"one"}`}},
		"properties":     {func(p *plan.Plan) { p.Processes["qemu"].Argv[7] = "socket,id=qmp,fd=4" }, []string{"processes.qemu.argv[-chardev qmp]: socket,id=qmp,fd=3 -> socket,id=qmp,fd=4"}},
		"a flag":         {func(p *plan.Plan) { p.Processes["qemu"].Argv[1] = "-S" }, []string{"processes.qemu.argv[-S]: (none) -> true", "processes.qemu.argv[-nodefaults]: true -> (none)"}},
		"no options":     {func(p *plan.Plan) { p.Processes["x"] = plan.Process{Argv: []string{"x", "y", "y"}} }, []string{`processes.x.argv[argument]: (none) -> ["y","y"]`, "processes.x.argv[program]: (none) -> x"}},
		"a sysctl":       {func(p *plan.Plan) { p.Guest.Sysctl = map[string]string{"net.ipv4.x": "1"} }, []string{"guest.sysctl[net.ipv4.x]: (none) -> 1"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range change(t, test.edit) {
				got = append(got, c.Path+": "+Text(c.Old)+" -> "+Text(c.New))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAttributes(t *testing.T) {
	file := func(where, value string, lost ...plan.Origin) plan.Origin {
		return plan.Origin{Kind: "file", Where: where, Value: value, Overrode: lost}
	}
	flag := plan.Origin{Kind: "flag", Where: "--cpus", Value: "2"}
	builtin := plan.Origin{Kind: "builtin", Where: "built-in default.hcl:1:2", Value: "1"}
	tests := map[string]struct {
		old, now *plan.Origin
		class    Class
		cause    string
	}{
		"edited":           {ptr(file("a.hcl:1:1", "1")), ptr(file("a.hcl:2:1", "2")), Restart, "a.hcl:2:1"},
		"moved":            {ptr(file("a.hcl:1:1", "1")), ptr(file("b.hcl:1:1", "1")), None, "now from b.hcl:1:1, was from a.hcl:1:1"},
		"withdrawn":        {ptr(file("a.hcl:1:1", "3", builtin)), &builtin, Restart, "a.hcl:1:1 no longer sets it, built-in default.hcl:1:2 does"},
		"beaten by a flag": {ptr(file("a.hcl:1:1", "1")), &flag, Recreate, "docker's --cpus"},
		"a flag less":      {&flag, ptr(file("a.hcl:1:1", "1")), Recreate, "a.hcl:1:1"},
		"a new attribute":  {nil, &builtin, Restart, "built-in default.hcl:1:2"},
		"an old attribute": {&builtin, nil, Restart, "built-in default.hcl:1:2 no longer sets it"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set := func(o *plan.Origin) map[string]plan.Origin {
				if o == nil {
					return nil
				}
				return map[string]plan.Origin{"machine.cpus": *o}
			}
			got := attributes(set(test.old), set(test.now))
			if len(got) != 1 || got[0].Class != test.class || got[0].Cause != test.cause {
				t.Errorf("%+v, want %s, %s", got, test.class, test.cause)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// TestRulesName finds rules that can no longer apply: a name in the plan has
// changed.
func TestRulesName(t *testing.T) {
	for _, r := range rules {
		section, rest, _ := strings.Cut(r.path, ".")
		name, _, _ := strings.Cut(rest, "[")
		typ := reflect.TypeFor[plan.Plan]()
		field, ok := byJSON(typ, section)
		if !ok {
			t.Errorf("%s: the plan has no %q", r.path, section)
			continue
		}
		for part := range strings.SplitSeq(name, ".") {
			if part == "" || field.Kind() != reflect.Struct {
				break
			}
			if field, ok = byJSON(field, part); !ok {
				t.Errorf("%s: there is no %q", r.path, part)
				break
			}
		}
	}
}

func byJSON(typ reflect.Type, name string) (reflect.Type, bool) {
	for i := range typ.NumField() {
		tag, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if tag == name {
			field := typ.Field(i).Type
			if field.Kind() == reflect.Pointer {
				field = field.Elem()
			}
			return field, true
		}
	}
	return nil, false
}
