package profiles

import (
	"testing"

	"github.com/runcvm/runcvm/schema"
)

// TestDenialOpensNothing wants an image kept from what reaches the host under a
// policy that says only what else is denied; allow is what opens.
func TestDenialOpensNothing(t *testing.T) {
	for _, test := range []struct {
		label   string
		refused bool
	}{
		{"", true},
		{"deny = [\"kernel.append\"]", true},
		{"inline = true", true},
		{"allow = [\"*\"]", false},
		{"allow = [\"*\"]\n deny = [\"kvm.*\"]", false},
	} {
		set, diags := LoadFS(files(map[string]string{"p.hcl": "policy \"p\" {\n label {\n " + test.label + "\n }\n}\n"}), HostDir)
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		for _, wish := range []string{"machine {\n nested = true\n}\n", "kernel {\n modules_dir = \"/etc\"\n}\n", "network {\n vhost = \"on\"\n}\n"} {
			_, diags := Resolve(set, asks(wish), schema.Variables{})
			if got := diags.HasErrors(); got != test.refused {
				t.Errorf("%q: %q: refused is %t: %v", test.label, wish, got, diags)
			}
		}
	}
}
