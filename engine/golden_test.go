package engine_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/engine/ocispec"
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/profiles"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden runs each testdata/*.txtar: what goes in is profiles/*,
// patches/*, config.json (or config.merge.json, an RFC 7386 patch of testdata/docker.json,
// which dockerd wrote) and facts.merge.json (of testdata/facts.json); what comes
// out is either error.txt, or plan.json, the argument lists, one word a line, and
// the container's config.json. With a file "show", only those members of the plan
// come out that it names.
func TestGolden(t *testing.T) {
	for _, c := range goldenCases(t) {
		t.Run(c.name, func(t *testing.T) {
			want := txtar.Format(c.archive)
			files := slices.DeleteFunc(slices.Clone(c.archive.Files), func(f txtar.File) bool { return strings.HasPrefix(f.Name, "out/") })
			got := txtar.Format(&txtar.Archive{Comment: c.archive.Comment, Files: append(files, outputs(t, c)...)})
			name := filepath.Join("testdata", c.name+".txtar")
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

// compiled is what comes out of a case.
type compiled struct {
	plan *plan.Plan
	doc  *ocispec.Document // of the inputs
}

// compileCase goes the whole way from files to a plan.
func compileCase(config, rawFacts []byte, files fs.FS) (*compiled, error) {
	facts := new(plan.Facts)
	if err := json.Unmarshal(rawFacts, facts); err != nil {
		return nil, fmt.Errorf("facts: %w", err)
	}
	doc, err := ocispec.Parse(config, "config.json")
	if err != nil {
		return nil, err
	}
	set, diags := loadHost(files)
	profile, more := profiles.Resolve(set, profiles.NewRequest(doc.Spec.Process, facts.Image), engine.Variables(&doc.Spec, facts))
	if diags = append(diags, more...); diags.HasErrors() {
		return nil, diags
	}
	p, diags := engine.Compile(profile, &doc.Spec, facts)
	return &compiled{p, doc}, diags.Err()
}

// loadHost reads profiles/ and patches/ of files as those of /etc/runcvm.
func loadHost(files fs.FS) (*profiles.Set, diag.Diagnostics) {
	named, err := fs.Sub(files, "profiles")
	if err != nil {
		panic(err) // the name is a valid one
	}
	patches, err := fs.Sub(files, "patches")
	if err != nil {
		panic(err)
	}
	set, diags := profiles.LoadFS(named, profiles.HostDir)
	return set, append(diags, set.LoadPatchesFS(patches, profiles.PatchesDir(profiles.HostDir))...)
}

// outputs are the files of a case's outcome.
func outputs(t *testing.T, in goldenCase) []txtar.File {
	t.Helper()
	c, err := compileCase(in.config, in.facts, in.files)
	if err != nil {
		return []txtar.File{{Name: "out/error.txt", Data: []byte(err.Error())}}
	}
	encoded, err := plan.Encode(c.plan)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := plan.Decode(encoded)
	if err != nil {
		t.Fatalf("the plan cannot be read back: %v", err)
	}
	if diff := cmp.Diff(c.plan, decoded); diff != "" {
		t.Errorf("the plan changes by a round trip:\n%s", diff)
	}
	if len(in.show) > 0 {
		return []txtar.File{{Name: "out/plan.json", Data: members(t, encoded, in.show)}}
	}
	ocispec.Apply(c.doc, &c.plan.OCI)
	container, err := c.doc.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return []txtar.File{
		{Name: "out/plan.json", Data: indent(t, encoded)},
		{Name: "out/qemu.args", Data: lines(c.plan.Processes["qemu"].Argv)},
		{Name: "out/virtiofsd.args", Data: lines(c.plan.Processes["virtiofsd"].Argv)},
		{Name: "out/config.json", Data: indent(t, container)},
	}
}

// goldenCase is a file of testdata with its inputs.
type goldenCase struct {
	name    string // without its suffix
	archive *txtar.Archive

	config, facts []byte
	files         fs.FS // profiles/ and patches/ of the host
	show          []string
}

// members are those of a JSON object that are named.
func members(t *testing.T, object []byte, names []string) []byte {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		t.Fatal(err)
	}
	shown := map[string]json.RawMessage{}
	for _, name := range names {
		if shown[name] = all[name]; all[name] == nil {
			t.Fatalf("the plan has no %q", name)
		}
	}
	out, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	return append(indent(t, out), '\n')
}

func goldenCases(t *testing.T) []goldenCase {
	t.Helper()
	cases, err := readCases("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

func readCases(dir string) ([]goldenCase, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no golden cases in %s: %w", dir, err)
	}
	var cases []goldenCase
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			return nil, err
		}
		c := goldenCase{name: strings.TrimSuffix(filepath.Base(name), ".txtar"), archive: archive}
		if err := c.readInputs(dir); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func (c *goldenCase) readInputs(dir string) error {
	var err error
	if c.config, err = os.ReadFile(filepath.Join(dir, "docker.json")); err != nil {
		return err
	}
	if c.facts, err = os.ReadFile(filepath.Join(dir, "facts.json")); err != nil {
		return err
	}
	files := fstest.MapFS{}
	for _, f := range c.archive.Files {
		switch f.Name {
		case "show":
			c.show = strings.Fields(string(f.Data))
		case "config.json":
			c.config = f.Data
		case "config.merge.json":
			c.config, err = mergeJSON(c.config, f.Data)
		case "facts.merge.json":
			c.facts, err = mergeJSON(c.facts, f.Data)
		default:
			if strings.HasPrefix(f.Name, "profiles/") || strings.HasPrefix(f.Name, "patches/") {
				files[f.Name] = &fstest.MapFile{Data: f.Data}
			} else if !strings.HasPrefix(f.Name, "out/") {
				return fmt.Errorf("unknown file %s in the archive", f.Name)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	c.files = files
	return nil
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func patched(t *testing.T, document, patch []byte) []byte {
	t.Helper()
	out, err := mergeJSON(document, patch)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// mergeJSON applies a JSON merge patch, RFC 7386.
func mergeJSON(document, patch []byte) ([]byte, error) {
	var d, p any
	for into, data := range map[*any][]byte{&d: document, &p: patch} {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(into); err != nil {
			return nil, err
		}
	}
	return json.Marshal(mergePatch(d, p))
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
