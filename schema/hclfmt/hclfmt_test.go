package hclfmt

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFormat(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"columns": {
			"profile \"a\"   {\nmachine{\ncpus=2\n   memory   = \"1G\"  # much\n}\n}\n",
			"profile \"a\" {\n  machine {\n    cpus   = 2\n    memory = \"1G\" # much\n  }\n}\n",
		},
		"empty":                            {"", ""},
		"a byte order mark is white space": {"\xef\xbb\xbfa=1\n", "a = 1\n"},
		"heredoc":                          {"profile \"a\" {\nx = <<-E\n   text\n      more ${ 1 }\n E\n}\n", "profile \"a\" {\n  x = <<-E\n   text\n      more ${1}\n E\n}\n"},
	}
	for name, test := range tests {
		got, diags := Format([]byte(test.in), "a.hcl")
		if err := diags.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(test.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFormatRefuses(t *testing.T) {
	for _, src := range []string{"profile {", "a = \x00\n", "a = \"\xff\"\n"} {
		out, diags := Format([]byte(src), "a.hcl")
		if !diags.HasErrors() || out != nil {
			t.Errorf("%q was formatted: %q", src, out)
		}
	}
}

// FuzzFormat wants that a valid file stays one.
func FuzzFormat(f *testing.F) {
	f.Add("profile \"a\" {\n machine {\n cpus = [for x in [1]: x][0] // c\n }\n}\n")
	f.Add("a = <<E\n${b}\nE\n\r\nb = { c : \"%{if x}y%{endif}\" }")
	f.Fuzz(func(t *testing.T, src string) {
		once, diags := Format([]byte(src), "a.hcl")
		if diags.HasErrors() {
			return
		}
		if strings.TrimSpace(src) != "" && len(once) == 0 {
			t.Fatalf("%q became empty", src)
		}
		if _, diags := Format(once, "a.hcl"); diags.HasErrors() {
			t.Fatalf("%q became invalid: %v", src, diags)
		}
	})
}
