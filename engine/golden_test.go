package engine_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/engine/ocispec"
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/profiles"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden runs each testdata/*.txtar: what goes in is profiles/*.hcl,
// patches/*.hcl, config.json (or config.merge.json, an RFC 7386 patch of testdata/docker.json,
// which dockerd wrote) and facts.merge.json (of testdata/facts.json); what comes
// out is either error.txt, or plan.json, the argument lists, one word a line, and
// the container's config.json.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			in := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				if !strings.HasPrefix(f.Name, "out/") {
					in.Files = append(in.Files, f)
				}
			}
			want := txtar.Format(archive)
			got := txtar.Format(&txtar.Archive{Comment: in.Comment, Files: append(in.Files, runCase(t, in)...)})
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("differs from %s (-want +got; go test ./engine -update rewrites):\n%s", name, diff)
			}
		})
	}
}

// runCase goes the whole way from files to files.
func runCase(t *testing.T, in *txtar.Archive) []txtar.File {
	t.Helper()
	config, facts, files, patches := inputs(t, in)
	failed := func(err error) []txtar.File {
		return []txtar.File{{Name: "out/error.txt", Data: []byte(err.Error())}}
	}
	doc, err := ocispec.Parse(config, "config.json")
	if err != nil {
		return failed(err)
	}
	set, diags := profiles.LoadFS(files, profiles.HostDir)
	diags = append(diags, set.LoadPatchesFS(patches, profiles.PatchesDir(profiles.HostDir))...)
	profile, more := profiles.Resolve(set, profiles.NewRequest(doc.Spec.Process, facts.Image), engine.Variables(&doc.Spec, facts))
	if diags = append(diags, more...); diags.HasErrors() {
		return failed(diags)
	}
	p, diags := engine.Compile(profile, &doc.Spec, facts)
	if diags.HasErrors() {
		return failed(diags)
	}
	encoded, err := plan.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := plan.Decode(encoded)
	if err != nil {
		t.Fatalf("the plan cannot be read back: %v", err)
	}
	if diff := cmp.Diff(p, decoded); diff != "" {
		t.Errorf("the plan changes by a round trip:\n%s", diff)
	}
	ocispec.Apply(doc, &p.OCI)
	container, err := doc.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return []txtar.File{
		{Name: "out/plan.json", Data: indent(t, encoded)},
		{Name: "out/qemu.args", Data: lines(p.Processes["qemu"].Argv)},
		{Name: "out/virtiofsd.args", Data: lines(p.Processes["virtiofsd"].Argv)},
		{Name: "out/config.json", Data: indent(t, container)},
	}
}

func inputs(t *testing.T, in *txtar.Archive) (config []byte, facts *plan.Facts, files, patches fstest.MapFS) {
	t.Helper()
	config = readFile(t, "testdata/docker.json")
	rawFacts := readFile(t, "testdata/facts.json")
	files, patches = fstest.MapFS{}, fstest.MapFS{}
	for _, f := range in.Files {
		switch f.Name {
		case "config.json":
			config = f.Data
		case "config.merge.json":
			config = patched(t, config, f.Data)
		case "facts.merge.json":
			rawFacts = patched(t, rawFacts, f.Data)
		default:
			folder, name, _ := strings.Cut(f.Name, "/")
			into, ok := map[string]fstest.MapFS{"profiles": files, "patches": patches}[folder]
			if !ok {
				t.Fatalf("unknown file %s in the archive", f.Name)
			}
			into[name] = &fstest.MapFile{Data: f.Data}
		}
	}
	facts = new(plan.Facts)
	if err := json.Unmarshal(rawFacts, facts); err != nil {
		t.Fatalf("facts: %v", err)
	}
	return config, facts, files, patches
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// patched applies a JSON merge patch.
func patched(t *testing.T, document, patch []byte) []byte {
	t.Helper()
	var d, p any
	for data, into := range map[*any][]byte{&d: document, &p: patch} {
		decoder := json.NewDecoder(bytes.NewReader(into))
		decoder.UseNumber()
		if err := decoder.Decode(data); err != nil {
			t.Fatal(err)
		}
	}
	out, err := json.Marshal(mergePatch(d, p))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mergePatch(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged, ok := target.(map[string]any)
	if !ok {
		merged = map[string]any{}
	}
	for key, value := range p {
		if value == nil {
			delete(merged, key)
		} else {
			merged[key] = mergePatch(merged[key], value)
		}
	}
	return merged
}

func indent(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// lines writes one argument a line; an argument cannot hold a newline here
// without showing it.
func lines(args []string) []byte {
	var out strings.Builder
	for _, a := range args {
		out.WriteString(strings.ReplaceAll(a, "\n", `\n`) + "\n")
	}
	return []byte(out.String())
}
