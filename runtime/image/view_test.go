package image

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// tree makes files below a new folder. A name that ends in a slash is a
// folder, "-> x" as content a link, and a content of "x" something executable.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		target, isLink := strings.CutPrefix(content, "-> ")
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		case isLink:
			err = os.Symlink(target, path)
		case content == "x":
			err = os.WriteFile(path, []byte("x"), 0o755)
		default:
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func bind(source, destination string) specs.Mount {
	return specs.Mount{Type: "bind", Source: source, Destination: destination, Options: []string{"rbind"}}
}

func tmpfs(destination string) specs.Mount {
	return specs.Mount{Type: "tmpfs", Source: "tmpfs", Destination: destination}
}

func TestViewStaysInside(t *testing.T) {
	// What is outside has the names that the hostile links ask for.
	outside := tree(t, map[string]string{"secret": "x", "sub/secret": "x"})
	chain := map[string]string{"chain0": "-> file"}
	for i := range 45 {
		chain["chain"+string(rune('A'+i))] = "-> chain" + string(rune('A'+i-1))
	}
	chain["chainA"] = "-> file"
	files := map[string]string{
		"file": "x", "dir/": "", "dir/file": "x",
		"abs":          "-> " + outside + "/secret",
		"up":           "-> ../../../../../../../.." + outside + "/secret",
		"updir":        "-> ../../../../../..",
		"dir/rel":      "-> ../file",
		"dir/absolute": "-> /file",
		"loop":         "-> loop", "a": "-> b", "b": "-> a",
		"dot": "-> ./dir/.//./file", "slash": "-> file/", "dirlink": "-> dir/", "dangling": "-> nowhere",
		"proclink": "-> /proc/self/exe", "mnt/": "", "scratch/hidden": "x", "var/run": "-> /run", "run/x": "x",
	}
	for name, link := range chain {
		files[name] = link
	}
	root := tree(t, files)
	vol := tree(t, map[string]string{"in": "x", "out": "-> /file", "esc": "-> ../../../../.." + outside + "/secret", "n/": ""})
	v, err := NewView("/nonexistent", &specs.Spec{Root: &specs.Root{Path: root}, Mounts: []specs.Mount{
		{Type: "proc", Source: "proc", Destination: "/proc"},
		bind(vol, "/mnt"), bind(vol+"/in", "/single"), tmpfs("/scratch"), bind(vol, "/scratch/vol"),
		tmpfs("/mnt/n"), bind(vol, "/mnt/n/deep"), bind(vol, "/hidden/by/parent"), tmpfs("/hidden"),
		bind(vol, "/var/run/vol"), bind(outside+"/nosuch", "/badsource"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path, cwd string
		want      error
	}{
		{"/file", "/", nil},
		{"//dir//file", "/", nil},
		{"file", "/", nil},
		{"../file", "/dir", nil},
		{"../../../file", "/dir", nil},
		{"/dir/rel", "/", nil},
		{"/dir/absolute", "/", nil},
		{"/dot", "/", nil},
		{"/dirlink/file", "/", nil},
		{"/updir/updir/file", "/", nil},
		{"/dir/", "/", nil},
		{"/", "/", nil},
		{"/..", "/", nil},
		{"", "/", unix.ENOENT},
		{"/abs", "/", unix.ENOENT},
		{"/up", "/", unix.ENOENT},
		{"/updir" + outside + "/secret", "/", unix.ENOENT},
		{"/dangling", "/", unix.ENOENT},
		{"/loop", "/", unix.ELOOP},
		{"/a/x", "/", unix.ELOOP},
		{"/chainh", "/", nil},        // 40 links
		{"/chaini", "/", unix.ELOOP}, // 41
		{"/file/", "/", unix.ENOTDIR},
		{"/file/x", "/", unix.ENOTDIR},
		{"/file/..", "/", unix.ENOTDIR},
		{"/slash", "/", unix.ENOTDIR},
		{"/" + strings.Repeat("n", 256), "/", unix.ENAMETOOLONG},
		{"/" + strings.Repeat("./", 2048), "/", unix.ENAMETOOLONG},
		{"/proc/self/exe", "/", ErrUnknown},
		{"/proclink", "/", ErrUnknown},
		{"/scratch/hidden", "/", ErrUnknown},
		{"/scratch/vol/in", "/", ErrUnknown}, // the tmpfs could have anything in the way
		{"/mnt/in", "/", nil},
		{"/mnt/../file", "/", nil},
		{"/mnt/out", "/", nil},
		{"/mnt/esc", "/", unix.ENOENT},
		{"/mnt/n/x", "/", ErrUnknown},
		{"/single", "/", nil},
		{"/run/vol/in", "/", nil}, // mounted through a link
		{"/var/run/vol/in", "/", nil},
		{"/var/run/x", "/", nil},
		{"/hidden/by/parent/in", "/", ErrUnknown},
		{"/badsource", "/", ErrUnknown},
		{"file", "/nosuchdir", ErrUnknown},
	} {
		_, err := v.stat(tc.path, tc.cwd, &user{overrides: true})
		if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%.60q in %s: got %v, want %v", tc.path, tc.cwd, err, tc.want)
		}
	}
}

// Whatever a process does to the tree meanwhile, the walk does not leave it.
func TestViewAgainstARace(t *testing.T) {
	outside := tree(t, map[string]string{"marker": "x"})
	root := tree(t, map[string]string{"real/": ""})
	swap, link := filepath.Join(root, "swap"), filepath.Join(root, "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(swap, 0o755); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, swap, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
			}
		}
	}()
	v, err := NewView("/", &specs.Spec{Root: &specs.Root{Path: root}})
	if err != nil {
		t.Fatal(err)
	}
	for range 5000 {
		if _, err := v.stat("/swap/marker", "/", nil); err == nil {
			t.Error("the walk left the tree")
			break
		}
	}
	close(stop)
	<-stopped
}

func TestViewWithoutRoot(t *testing.T) {
	if _, err := NewView("/", &specs.Spec{}); err == nil {
		t.Error("a spec without a root was taken")
	}
	v, err := NewView("/nonexistent", &specs.Spec{Root: &specs.Root{Path: "rootfs"}})
	if err != nil {
		t.Fatal(err)
	}
	err = LookPath(v, &specs.Process{Args: []string{"/x"}, Cwd: "/"})
	var exec *ExecError
	if err == nil || errors.As(err, &exec) || !strings.Contains(err.Error(), "/nonexistent/rootfs") {
		t.Errorf("a missing root: got %v, want an error that names it", err)
	}
}
