package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
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
		{"huge", `{"ID":"` + strings.Repeat("x", maxMetadata) + `"}`, nil, "larger than 32 MiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := t.TempDir()
			file := filepath.Join(data, "containers", testID, dockerConfig)
			write(t, file, tc.content)
			for way, spec := range map[string]*specs.Spec{
				"by mount": {Mounts: []specs.Mount{bind("/home/me/hosts", "/etc/hosts"), bind(filepath.Join(filepath.Dir(file), "hostname"), "/etc/hostname")}},
				"by root":  {Root: &specs.Root{Path: filepath.Join(data, "overlay2", "abc", "merged")}},
			} {
				got, err := Metadata(spec, testID)
				if d := cmp.Diff(tc.want, got.Labels); d != "" {
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
		if got, err := Metadata(spec, testID); got.Labels != nil || got.EnvKnown || err != nil {
			t.Errorf("%s: got %+v, %v; want nothing", name, got, err)
		}
	}
	for _, id := range []string{".", "..", "../../etc", "a/b"} {
		if _, err := Metadata(&specs.Spec{}, id); err == nil {
			t.Errorf("the ID %q was taken", id)
		}
	}
}

// TestImageEnv looks for the environment of the image beside that of the
// container.
func TestImageEnv(t *testing.T) {
	const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	container := func(image, driver string) string {
		return `{"ID":"` + testID + `","Image":"` + image + `","Driver":"` + driver + `","Config":{}}`
	}
	const image = `{"config":{"Env":["PATH=/bin","RUNCVM_CPUS=2","RUNCVM_PROFILE=a=b"]}}`
	tests := []struct {
		name, container, image string
		env                    []string
		want                   plan.Image
		wantError              string
	}{
		{"asked for", container("sha256:"+digest, "overlay2"), image, []string{"A=b", "RUNCVM_CPUS=4"}, plan.Image{Env: []string{"RUNCVM_CPUS=2", "RUNCVM_PROFILE=a=b"}, EnvKnown: true}, ""},
		{"not asked for", container("sha256:"+digest, "overlay2"), image, []string{"A=RUNCVM_"}, plan.Image{}, ""},
		{"image without any", container("sha256:"+digest, "overlay2"), `{"config":{}}`, []string{"RUNCVM_CPUS=4"}, plan.Image{EnvKnown: true}, ""},
		{"other store", container("sha256:"+digest, "overlayfs"), image, []string{"RUNCVM_CPUS=4"}, plan.Image{}, ""},
		{"no digest", container("sha256:../../x", "overlay2"), image, []string{"RUNCVM_CPUS=4"}, plan.Image{}, ""},
		{"driver with a path", container("sha256:"+digest, "../overlay2"), image, []string{"RUNCVM_CPUS=4"}, plan.Image{}, ""},
		{"broken image", container("sha256:"+digest, "overlay2"), `{"config":`, []string{"RUNCVM_CPUS=4"}, plan.Image{}, digest + ": unexpected EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := t.TempDir()
			write(t, filepath.Join(data, "containers", testID, dockerConfig), test.container)
			write(t, filepath.Join(data, "image/overlay2/imagedb/content/sha256", digest), test.image)
			got, err := Metadata(&specs.Spec{
				Root:    &specs.Root{Path: filepath.Join(data, "overlay2", "abc", "merged")},
				Process: &specs.Process{Env: test.env},
			}, testID)
			if (test.wantError == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.wantError) {
				t.Fatalf("error %v, want %q", err, test.wantError)
			}
			if diff := cmp.Diff(test.want, got); err == nil && diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestStorage has a storage as Podman 4 lays it out.
func TestStorage(t *testing.T) {
	const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	const others = `[{"id":"abc","names":["other"],"image":"def"}`
	mine := others + `,{"id":"` + testID + `","names":["mine"],"image":"` + digest + `","layer":"l","metadata":"{}"}]`
	const config = `{"architecture":"amd64","config":{"Env":["A=b","RUNCVM_CPUS=2"],"Labels":{"runcvm.profile":"web"},"ExposedPorts":{"80/tcp":{}}}}`
	const list, volatile = "overlay-containers/containers.json", "overlay-containers/volatile-containers.json"
	const image = "overlay-images/" + digest + "/=c2hhMjU2OjlmODZkMDgxODg0YzdkNjU5YTJmZWFhMGM1NWFkMDE1YTNiZjRmMWIyYjBiODIyY2QxNWQ2YzE1YjBmMDBhMDg="
	labels := map[string]string{"runcvm.profile": "web"}
	tests := []struct {
		name, root string
		files      map[string]string
		want       plan.Image
		wantName   string
		wantError  string
	}{
		{"kept", "overlay/l/merged", map[string]string{list: mine, image: config}, plan.Image{Labels: labels, Ports: []string{"80/tcp"}, Env: []string{"RUNCVM_CPUS=2"}, EnvKnown: true}, "mine", ""},
		{"to be removed", "overlay/l/merged", map[string]string{list: others + "]", volatile: mine, image: config}, plan.Image{Labels: labels, Ports: []string{"80/tcp"}, Env: []string{"RUNCVM_CPUS=2"}, EnvKnown: true}, "mine", ""},
		{"image elsewhere", "overlay/l/merged", map[string]string{list: mine}, plan.Image{}, "mine", ""},
		{"image without any", "overlay/l/merged", map[string]string{list: mine, image: `{}`}, plan.Image{EnvKnown: true}, "mine", ""},
		{"root without image", "overlay/l/merged", map[string]string{list: `[{"id":"` + testID + `"}]`}, plan.Image{}, "", ""},
		{"image with a path", "overlay/l/merged", map[string]string{list: `[{"id":"` + testID + `","image":"../x"}]`}, plan.Image{}, "", ""},
		{"another's", "overlay/l/merged", map[string]string{list: others + "]", image: config}, plan.Image{}, "", ""},
		{"another driver", "vfs/dir/l", map[string]string{list: mine, image: config}, plan.Image{}, "", ""},
		{"broken list", "overlay/l/merged", map[string]string{list: mine[:40]}, plan.Image{}, "", list + ": unexpected EOF"},
		{"broken image", "overlay/l/merged", map[string]string{list: mine, image: config[:40]}, plan.Image{}, "", "=: unexpected EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := t.TempDir()
			for file, content := range test.files {
				write(t, filepath.Join(data, file), content)
			}
			spec := &specs.Spec{Root: &specs.Root{Path: filepath.Join(data, test.root)}, Process: &specs.Process{Env: []string{"RUNCVM_CPUS=4"}}}
			got, err := Metadata(spec, testID)
			if (test.wantError == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.wantError) {
				t.Fatalf("error %v, want %q", err, test.wantError)
			}
			if diff := cmp.Diff(test.want, got); err == nil && diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if name, _ := ContainerName(spec, testID); name != test.wantName {
				t.Errorf("the name %q, want %q", name, test.wantName)
			}
		})
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
