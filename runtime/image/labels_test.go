package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const testID = "fd26afaed08b1faf44ef82d436f1e95745de8f884acba9fb3a0a5f7265a07737"

func TestLabels(t *testing.T) {
	metadata := func(labels string) string {
		return `{"StreamConfig":{},"State":{"Running":false},"ID":"` + testID + `","Config":{"Hostname":"x",` + labels + `"Env":["A=b"]},"Image":"sha256:0"}`
	}
	for _, tc := range []struct {
		name, content string
		want          map[string]string
		wantError     string
	}{
		{
			"labels", metadata(`"Labels":{"runcvm.profile":"web","other":"a\nb"},`),
			map[string]string{"runcvm.profile": "web", "other": "a\nb"},
			"",
		},
		{"none", metadata(`"Labels":{},`), map[string]string{}, ""},
		{"null", metadata(`"Labels":null,`), nil, ""},
		{"no key", metadata(``), nil, ""},
		{"cut off", metadata(`"Labels":{"a":"b"},`)[:150], nil, "unexpected EOF"},
		{"no JSON", "container", nil, "invalid character"},
		{"empty", "", nil, "the file is empty"},
		{"wrong type", metadata(`"Labels":["a"],`), nil, "cannot unmarshal"},
		{"another container's", `{"ID":"abc","Config":{"Labels":{"a":"b"}}}`, nil, `about the container "abc"`},
		{"huge", `{"ID":"` + strings.Repeat("x", maxDockerConfig) + `"}`, nil, "larger than 32 MiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := t.TempDir()
			file := filepath.Join(data, "containers", testID, dockerConfig)
			write(t, file, tc.content)
			for way, spec := range map[string]*specs.Spec{
				"by mount": {Mounts: []specs.Mount{bind("/home/me/hosts", "/etc/hosts"), bind(filepath.Join(filepath.Dir(file), "hostname"), "/etc/hostname")}},
				"by root":  {Root: &specs.Root{Path: filepath.Join(data, "overlay2", "abc", "merged")}},
			} {
				got, err := Labels(spec, testID)
				if d := cmp.Diff(tc.want, got); d != "" {
					t.Errorf("%s: %s", way, d)
				}
				switch {
				case tc.wantError == "" && err != nil:
					t.Errorf("%s: %v", way, err)
				case tc.wantError != "" && (err == nil || !strings.Contains(err.Error(), tc.wantError) || !strings.Contains(err.Error(), file)):
					t.Errorf("%s: got the error %v, want %q and the file's name", way, err, tc.wantError)
				}
			}
		})
	}
}

func TestLabelsWithoutDocker(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "containers"), "a file, not a folder")
	for name, spec := range map[string]*specs.Spec{
		"empty":         {},
		"relative root": {Root: &specs.Root{Path: "rootfs"}},
		"bundle":        {Root: &specs.Root{Path: filepath.Join(dir, "bundle", "rootfs")}, Mounts: []specs.Mount{bind("hosts", "/etc/hosts")}},
	} {
		if labels, err := Labels(spec, testID); labels != nil || err != nil {
			t.Errorf("%s: got %v, %v; want nothing", name, labels, err)
		}
	}
	for _, id := range []string{".", "..", "../../etc", "a/b"} {
		if _, err := Labels(&specs.Spec{}, id); err == nil {
			t.Errorf("the ID %q was taken", id)
		}
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
