package dockerconf

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const path = "/opt/runcvm/bin/runcvm"

func TestAddAndRemove(t *testing.T) {
	tests := []struct {
		name, config, added, removed string
	}{
		{"no text", "", `{"runtimes":{"runcvm":{"path":"/opt/runcvm/bin/runcvm"}}}`, `{}`},
		{"white space", " \n", `{"runtimes":{"runcvm":{"path":"/opt/runcvm/bin/runcvm"}}}`, `{}`},
		{"empty", `{}`, `{"runtimes":{"runcvm":{"path":"/opt/runcvm/bin/runcvm"}}}`, `{}`},
		{"null", `{"runtimes":null}`, `{"runtimes":{"runcvm":{"path":"/opt/runcvm/bin/runcvm"}}}`, `{}`},
		{
			"other keys, and numbers as they are written",
			`{"b":{"z":1,"a":[1.0,1e400,123456789012345678901234567890]},"log-opts":{"max-size":"<&>"}}`,
			`{"b":{"z":1,"a":[1.0,1e400,123456789012345678901234567890]},"log-opts":{"max-size":"<&>"},"runtimes":{"runcvm":{"path":"/opt/runcvm/bin/runcvm"}}}`,
			`{"b":{"z":1,"a":[1.0,1e400,123456789012345678901234567890]},"log-opts":{"max-size":"<&>"}}`,
		},
		{
			"another runtime",
			`{"runtimes":{"runsc":{"path":"/usr/bin/runsc","runtimeArgs":["--debug"]}}}`,
			`{"runtimes":{"runcvm":{"path":"/opt/runcvm/bin/runcvm"},"runsc":{"path":"/usr/bin/runsc","runtimeArgs":["--debug"]}}}`,
			`{"runtimes":{"runsc":{"path":"/usr/bin/runsc","runtimeArgs":["--debug"]}}}`,
		},
		{
			"an older place, with arguments",
			`{"runtimes":{"runcvm":{"path":"/old","runtimeArgs":["--x"]}}}`,
			`{"runtimes":{"runcvm":{"path":"/opt/runcvm/bin/runcvm","runtimeArgs":["--x"]}}}`,
			`{}`,
		},
		{
			"a shim of the same name",
			`{"runtimes":{"runcvm":{"runtimeType":"io.containerd.x.v1","options":{}}}}`,
			`{"runtimes":{"runcvm":{"path":"/opt/runcvm/bin/runcvm"}}}`,
			`{}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			added, err := Add([]byte(tt.config), "runcvm", path)
			if err != nil {
				t.Fatal(err)
			}
			same(t, tt.added, added)
			if got := Path(added, "runcvm"); got != path {
				t.Errorf("path %q", got)
			}
			again, err := Add(added, "runcvm", path)
			if err != nil || string(again) != string(added) {
				t.Errorf("the second time (error %v) gave other bytes:\n%s", err, again)
			}
			removed, err := Remove(added, "runcvm", path)
			if err != nil {
				t.Fatal(err)
			}
			same(t, tt.removed, removed)
			if got, want := IsEmpty(removed), tt.removed == "{}"; got != want {
				t.Errorf("IsEmpty is %v, want %v", got, want)
			}
			again, err = Remove(removed, "runcvm", path)
			if err != nil || string(again) != string(removed) {
				t.Errorf("the second removal (error %v) gave other bytes:\n%s", err, again)
			}
		})
	}
}

func TestRemoveKeepsOthersRuntime(t *testing.T) {
	const config = `{"runtimes":{"runcvm":{"path":"/somewhere/else"}}}`
	got, err := Remove([]byte(config), "runcvm", path)
	if err != nil || string(got) != config {
		t.Errorf("%s, %v; want no change", got, err)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		line, column int
		says         string
	}{
		{"trailing comma", "{\n  \"debug\": true,\n}\n", 3, 1, "invalid character '}'"},
		{"comment", "{\n  // debug\n}", 2, 3, "invalid character '/'"},
		{"truncated", "{\n  \"debug\": tr", 2, 14, "no end"},
		{"text after", "{}\n {}", 2, 2, "after"},
		{"an array", "\n[]", 2, 1, "must be a JSON object"},
		{"null", "null", 1, 1, "must be a JSON object"},
		{"byte order mark", "\ufeff{}", 1, 1, "invalid character"},
		{"not UTF-8", "{\"é\": \"\xff\"}", 1, 8, "UTF-8"},
		{"runtimes is a list", "{\n \"runtimes\": []}", 2, 2, `"runtimes" must be`},
		{"the runtime is a string", "{\"runtimes\":\n{\"runcvm\": \"/x\"}}", 2, 2, `"runcvm" must be`},
		{"deep", strings.Repeat("[", 20000), 1, 10001, "max depth"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, edit := range []func([]byte, string, string) ([]byte, error){Add, Remove} {
				_, err := edit([]byte(tt.config), "runcvm", path)
				var syntax *SyntaxError
				if !errors.As(err, &syntax) {
					t.Fatalf("error %v, want a SyntaxError", err)
				}
				if syntax.Line != tt.line || syntax.Column != tt.column || !strings.Contains(syntax.Message, tt.says) {
					t.Errorf("%v; want line %d, column %d: ...%s...", err, tt.line, tt.column, tt.says)
				}
			}
		})
	}
}

func TestDefaultRuntime(t *testing.T) {
	for config, want := range map[string]string{
		`{"default-runtime":"runcvm"}`: "runcvm", `{"default-runtime":7}`: "", `{}`: "", `{`: "",
	} {
		if got := DefaultRuntime([]byte(config)); got != want {
			t.Errorf("%s: %q, want %q", config, got, want)
		}
	}
}

// Whatever the text, Add gives an error or what dockerd can read, with the
// runtime in it, and Remove takes it back.
func FuzzAdd(f *testing.F) {
	f.Add([]byte(`{"runtimes":{"a":{"path":"b"}},"x":[1e9,"é"]}`))
	f.Add([]byte("{\n"))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, config []byte) {
		added, err := Add(config, "runcvm", path)
		if err != nil {
			return
		}
		if got := Path(added, "runcvm"); got != path {
			t.Errorf("path %q in %s", got, added)
		}
		removed, err := Remove(added, "runcvm", path)
		if err != nil || Path(removed, "runcvm") != "" {
			t.Errorf("after the removal: %s, %v", removed, err)
		}
	})
}

func same(t *testing.T, want string, got []byte) {
	t.Helper()
	var w any
	if err := json.Unmarshal([]byte(compactNumbers(want)), &w); err != nil {
		t.Fatal(err)
	}
	var g any
	if err := json.Unmarshal([]byte(compactNumbers(string(got))), &g); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if d := cmp.Diff(w, g); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, literal := range []string{"1e400", "123456789012345678901234567890", "<&>"} {
		if strings.Contains(want, literal) != strings.Contains(string(got), literal) {
			t.Errorf("%s was rewritten in %s", literal, got)
		}
	}
}

// compactNumbers makes numbers that exceed float64 comparable.
func compactNumbers(s string) string {
	return strings.NewReplacer("1e400", `"1e400"`).Replace(s)
}
