package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/testkit"
)

// permutations is how many orders of maps, files and the environment are tried,
// over all golden cases.
const permutations = 10_000

// TestOrderDoesNotMatter permutes what has no order in the inputs of every
// golden case: members of JSON objects, the files of the directory, and the
// environment, whose own order the guest alone keeps.
func TestOrderDoesNotMatter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	// A mistake's place is that in the file as it is.
	cases := slices.DeleteFunc(goldenCases(t), func(c goldenCase) bool { return strings.HasPrefix(c.name, "error-") })
	type base struct {
		config, facts any
		plan          []byte
	}
	bases := make([]base, len(cases))
	for i, c := range cases {
		bases[i] = base{tree(t, c.config), tree(t, c.facts), orderless(t, c.config, c.facts, c.files)}
	}
	for n := range permutations {
		i := n % len(cases)
		b := bases[i]
		config := shuffled(random, permuteEnv(random, b.config))
		facts := shuffled(random, b.facts)
		got := orderless(t, config, facts, shuffledFS{cases[i].files, random})
		if !bytes.Equal(b.plan, got) {
			t.Fatalf("%s: another order gives another plan:\n%s", cases[i].name, cmp.Diff(string(b.plan), string(got)))
		}
	}
}

// orderless compiles and encodes a plan, the guest's environment sorted.
func orderless(t *testing.T, config, facts []byte, files fs.FS) []byte {
	t.Helper()
	c, err := compileCase(config, facts, files)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(c.plan.Guest.Process.Env)
	encoded, err := plan.Encode(c.plan)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func tree(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// permuteEnv returns the config with process.env in another order.
func permuteEnv(random *rand.Rand, config any) any {
	top, _ := config.(map[string]any)
	process, _ := top["process"].(map[string]any)
	env, ok := process["env"].([]any)
	if !ok {
		return config
	}
	env = slices.Clone(env)
	random.Shuffle(len(env), func(i, j int) { env[i], env[j] = env[j], env[i] })
	process = maps.Clone(process)
	process["env"] = env
	top = maps.Clone(top)
	top["process"] = process
	return top
}

// shuffled writes JSON with the members of its objects in a random order.
func shuffled(random *rand.Rand, v any) []byte {
	var out bytes.Buffer
	writeShuffled(&out, random, v)
	return out.Bytes()
}

func writeShuffled(out *bytes.Buffer, random *rand.Rand, v any) {
	switch v := v.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		for i, key := range keys {
			out.WriteByte(",{"[map[bool]int{true: 1}[i == 0]])
			writeJSON(out, key)
			out.WriteByte(':')
			writeShuffled(out, random, v[key])
		}
		if len(keys) == 0 {
			out.WriteByte('{')
		}
		out.WriteByte('}')
	case []any:
		out.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				out.WriteByte(',')
			}
			writeShuffled(out, random, element)
		}
		out.WriteByte(']')
	default:
		writeJSON(out, v)
	}
}

func writeJSON(out *bytes.Buffer, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("engine_test: encode %v: %v", v, err))
	}
	out.Write(data)
}

// shuffledFS lists its directory in a random order, as some file systems do.
type shuffledFS struct {
	fs.FS
	random *rand.Rand
}

func (f shuffledFS) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.FS, name)
	f.random.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	return entries, err
}

// digestsVariable makes TestMain print the digest of each golden case's plan
// instead of running the tests: another process, or another architecture, has
// to print the same.
const digestsVariable = "RUNCVM_TEST_PRINT_DIGESTS"

func TestMain(m *testing.M) {
	if os.Getenv(digestsVariable) == "" {
		m.Run() // its result is the program's
		return
	}
	if err := printDigests(); err != nil {
		panic(err)
	}
}

// printDigests reads the cases below the folder that the variable names.
func printDigests() error {
	cases, err := readCases(os.Getenv(digestsVariable))
	if err != nil {
		return err
	}
	for _, c := range cases {
		result := ""
		if compiled, err := compileCase(c.config, c.facts, c.files); err != nil {
			result = err.Error()
		} else if _, err := plan.Encode(compiled.plan); err != nil {
			return err
		} else {
			result = compiled.plan.Digest
		}
		fmt.Printf("%s %s\n", c.name, result)
	}
	return nil
}

// digests runs the test binary, or another one of the same tests, in dir.
func digests(t *testing.T, dir string, env []string, argv ...string) string {
	t.Helper()
	data, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append([]string{digestsVariable + "=" + data, "PATH=" + os.Getenv("PATH")}, env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, stderr.String())
	}
	if strings.Count(string(out), "sha256:") < 10 {
		t.Fatalf("%v printed too few digests:\n%s", argv, out)
	}
	return string(out)
}

// TestProcessDoesNotMatter compiles all cases in processes with another locale,
// time zone, working directory and user.
func TestProcessDoesNotMatter(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want := digests(t, "/", []string{"LC_ALL=C", "TZ=UTC", "HOME=/root"}, self)
	got := digests(t, t.TempDir(), []string{"LC_ALL=tr_TR.UTF-8", "LANG=tr_TR.UTF-8", "TZ=Asia/Kathmandu", "HOME=/nonexistent", "USER=other", "GOMAXPROCS=1", "RUNCVM_CPUS=7"}, self)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the plans of two processes differ:\n%s", diff)
	}
}

// TestArchitectureDoesNotMatter compiles all cases by a program for arm64, which
// QEMU's user mode runs.
func TestArchitectureDoesNotMatter(t *testing.T) {
	emulator := testkit.Program("qemu-aarch64")
	testkit.Require(t, emulator, testkit.Program("go"))
	program := filepath.Join(t.TempDir(), "engine.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, ".")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build for arm64: %v\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want := digests(t, "/", nil, self)
	if diff := cmp.Diff(want, digests(t, "/", nil, "qemu-aarch64", program)); diff != "" {
		t.Errorf("the plans of amd64 and arm64 differ:\n%s", diff)
	}
}
