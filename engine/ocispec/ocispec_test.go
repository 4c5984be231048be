package ocispec

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
)

// edit parses a document, changes it and returns what is written.
func edit(t *testing.T, document string, change func(*specs.Spec)) map[string]any {
	t.Helper()
	d, err := Parse([]byte(document), "config.json")
	if err != nil {
		t.Fatal(err)
	}
	change(&d.Spec)
	out, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return tree(t, string(out))
}

func tree(t *testing.T, document string) map[string]any {
	t.Helper()
	parsed, err := parseTree([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return parsed.(map[string]any)
}

func TestMarshalKeepsWhatTypesDoNotKnow(t *testing.T) {
	tests := map[string]struct {
		in     string
		change func(*specs.Spec)
		want   string
	}{
		"unknown fields at each depth": {
			`{"ociVersion":"1","x":{"y":[1.50]},"process":{"cwd":"/","user":{"uid":0,"gid":0,"z":null},"args":["a"],"new":true}}`,
			func(s *specs.Spec) { s.Process.Args = []string{"b"} },
			`{"ociVersion":"1","x":{"y":[1.50]},"process":{"cwd":"/","user":{"uid":0,"gid":0,"z":null},"args":["b"],"new":true}}`,
		},
		"exact numbers": {
			`{"ociVersion":"1","linux":{"resources":{"memory":{"limit":9223372036854775807,"q":18446744073709551615}}}}`,
			func(s *specs.Spec) { s.Hostname = "h" },
			`{"ociVersion":"1","hostname":"h","linux":{"resources":{"memory":{"limit":9223372036854775807,"q":18446744073709551615}}}}`,
		},
		"explicit zero values stay": {
			`{"ociVersion":"1","root":{"path":"r","readonly":false},"process":{"cwd":"/","user":{"uid":0,"gid":0},"terminal":false}}`,
			func(s *specs.Spec) { s.Root.Path = "s" },
			`{"ociVersion":"1","root":{"path":"s","readonly":false},"process":{"cwd":"/","user":{"uid":0,"gid":0},"terminal":false}}`,
		},
		"a removed part goes with its unknown fields": {
			`{"ociVersion":"1","linux":{"seccomp":{"defaultAction":"SCMP_ACT_ERRNO","x":1},"y":2}}`,
			func(s *specs.Spec) { s.Linux.Seccomp = nil },
			`{"ociVersion":"1","linux":{"y":2}}`,
		},
		"a mount keeps its fields when it moves and changes": {
			`{"ociVersion":"1","mounts":[{"destination":"/a","type":"bind","source":"/x","ext":"A"},{"destination":"/b","type":"bind","source":"/y","ext":"B"},{"destination":"/c","type":"tmpfs","source":"tmpfs","ext":"C"}]}`,
			func(s *specs.Spec) {
				s.Mounts = []specs.Mount{
					{Destination: "/new", Type: "bind", Source: "/z"},
					{Destination: "/vm/1", Type: "bind", Source: "/y"},
					{Destination: "/vm/0", Type: "bind", Source: "/x", Options: []string{"ro"}},
				}
			},
			`{"ociVersion":"1","mounts":[{"destination":"/new","type":"bind","source":"/z"},{"destination":"/vm/1","type":"bind","source":"/y","ext":"B"},{"destination":"/vm/0","type":"bind","source":"/x","options":["ro"],"ext":"A"}]}`,
		},
		"an odd spelling does not bring back what changed": {
			`{"ociVersion":"1","Root":{"path":"r"}}`,
			func(s *specs.Spec) { s.Root = &specs.Root{Path: "s"} },
			`{"ociVersion":"1","root":{"path":"s"}}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := edit(t, test.in, test.change)
			if diff := cmp.Diff(tree(t, test.want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDockerSpecUnchanged(t *testing.T) {
	data, err := os.ReadFile("../testdata/docker.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree(t, string(data)), edit(t, string(data), func(*specs.Spec) {})); diff != "" {
		t.Errorf("reading and writing changes the document:\n%s", diff)
	}
}

func TestParseProcess(t *testing.T) {
	process, err := ParseProcess([]byte(`{"cwd":"/","user":{"uid":1,"gid":2},"args":["a"],"x":{"y":1}}`), "process.json")
	if err != nil {
		t.Fatal(err)
	}
	want := specs.Process{Cwd: "/", User: specs.User{UID: 1, GID: 2}, Args: []string{"a"}}
	if diff := cmp.Diff(want, process); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := ParseProcess([]byte(`{"args":"a"}`), "process.json"); err == nil || !strings.Contains(diag.OneLine(err), "process.json:1:") {
		t.Errorf("an error that names no place: %v", err)
	}
}

func TestParseErrorsNameThePlace(t *testing.T) {
	tests := map[string]string{
		"":                                      "config.json:1:1: ",
		"{\n  \"root\": {]\n}":                  "config.json:2:12: ",
		"{\n  \"root\": {":                      "config.json:2:12: ",
		"{\n  \"mounts\": {}\n}":                "config.json:2:13: ",
		"{\"process\":{\"user\":{\"uid\":-1}}}": "config.json:1:28: ",
		"[]":                                    "config.json:1:1: ",
		"{} {}":                                 "config.json:1:4: ",
		"{\"linux\":{\"resources\":{\"memory\":{\"limit\":1.5}}}}": "config.json:1:44: ",
	}
	for document, want := range tests {
		_, err := Parse([]byte(document), "config.json")
		if got := diag.OneLine(err); !strings.HasPrefix(got, want) {
			t.Errorf("Parse(%q): %q does not begin with %q", document, got, want)
		}
	}
}

func TestApplyMovesSwapWithMemory(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"swap as well": {`{"limit":100,"swap":150}`, `{"limit":400,"swap":450}`},
		"no swap":      {`{"limit":100,"swap":-1}`, `{"limit":400,"swap":-1}`},
		"limit alone":  {`{"limit":100,"x":1}`, `{"limit":400,"x":1}`},
		"huge":         {`{"limit":100,"swap":9223372036854775800}`, `{"limit":400,"swap":9223372036854775807}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := Parse([]byte(`{"ociVersion":"1","linux":{"resources":{"memory":`+test.in+`}}}`), "config.json")
			if err != nil {
				t.Fatal(err)
			}
			Apply(d, &plan.OCI{MemoryLimit: 400, Args: []string{"x"}})
			out, err := d.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			memory := tree(t, string(out))["linux"].(map[string]any)["resources"].(map[string]any)["memory"]
			if diff := cmp.Diff(any(tree(t, test.want)), memory); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// FuzzRoundTrip: a document that is read and written means the same to its
// type.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(`{"ociVersion":"1","mounts":[{"destination":"/a","x":1}],"annotations":{"A":"b"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data, "config.json")
		if err != nil {
			return
		}
		out, err := d.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out, "config.json")
		if err != nil {
			t.Fatalf("%s is written as %s: %v", data, out, err)
		}
		a, errA := json.Marshal(&d.Spec)
		b, errB := json.Marshal(&again.Spec)
		if errA != nil || errB != nil || !slices.Equal(a, b) {
			t.Errorf("%s becomes %s", a, b)
		}
	})
}

func BenchmarkParseApplyMarshal(b *testing.B) {
	data, err := os.ReadFile("../testdata/docker.json")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		d, err := Parse(data, "config.json")
		if err != nil {
			b.Fatal(err)
		}
		Apply(d, &plan.OCI{Args: []string{"x"}, Mounts: d.Spec.Mounts})
		if _, err := d.Marshal(); err != nil {
			b.Fatal(err)
		}
	}
}
