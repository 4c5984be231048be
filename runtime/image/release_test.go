package image

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/engine/plan"
)

func TestParseOSRelease(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want *plan.OSRelease
	}{
		"Debian":                           {"PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n", &plan.OSRelease{ID: "debian"}},
		"Ubuntu":                           {"ID=ubuntu\nID_LIKE=debian\n", &plan.OSRelease{ID: "ubuntu", IDLike: []string{"debian"}}},
		"Oracle":                           {"ID=\"ol\"\nID_LIKE=\"fedora rhel\"\n", &plan.OSRelease{ID: "ol", IDLike: []string{"fedora", "rhel"}}},
		"quotes, comments, no end of line": {"# ID=x\n\nID='alpine'", &plan.OSRelease{ID: "alpine"}},
		"the last counts":                  {"ID=a\nID=b\n", &plan.OSRelease{ID: "b"}},
		"no ID":                            {"NAME=x\n", nil},
		"empty":                            {"", nil},
		"not for a path":                   {"ID=../../etc\nID_LIKE=\"$(reboot) debian\"\n", &plan.OSRelease{IDLike: []string{"debian"}}},
		"nonsense":                         {"\x00\xff=\n=ID\nID", nil},
	} {
		if d := cmp.Diff(tt.want, parseOSRelease(tt.text)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestDescribe(t *testing.T) {
	file := func(name, content string) func(dir string) error {
		return func(dir string) error {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755)
		}
	}
	symlink := func(target, name string) func(dir string) error {
		return func(dir string) error {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				return err
			}
			return os.Symlink(target, filepath.Join(dir, name))
		}
	}
	debian := &plan.OSRelease{ID: "debian"}
	for name, tt := range map[string]struct {
		make []func(dir string) error
		want plan.Image
	}{
		"nothing":            {nil, plan.Image{}},
		"a file":             {[]func(string) error{file("etc/os-release", "ID=debian\n")}, plan.Image{OSRelease: debian}},
		"a link":             {[]func(string) error{file("usr/lib/os-release", "ID=debian\n"), symlink("../usr/lib/os-release", "etc/os-release")}, plan.Image{OSRelease: debian}},
		"an absolute link":   {[]func(string) error{file("x", "ID=debian\n"), symlink("/x", "etc/os-release")}, plan.Image{OSRelease: debian}},
		"in /usr alone":      {[]func(string) error{file("usr/lib/os-release", "ID=debian\n")}, plan.Image{OSRelease: debian}},
		"a link of the host": {[]func(string) error{symlink("/proc/version", "etc/os-release")}, plan.Image{}},
		"a FIFO": {[]func(string) error{file("etc/x", ""), func(dir string) error {
			return unix.Mkfifo(filepath.Join(dir, "etc/os-release"), 0o644)
		}}, plan.Image{}},
		"too large": {[]func(string) error{file("etc/os-release", "ID=debian\n"), func(dir string) error {
			return os.Truncate(filepath.Join(dir, "etc/os-release"), 4<<30)
		}}, plan.Image{}},
		"modprobe":           {[]func(string) error{file("bin/kmod", ""), symlink("/bin/kmod", "sbin/modprobe")}, plan.Image{Modprobe: true}},
		"modprobe, dangling": {[]func(string) error{symlink("/bin/kmod", "sbin/modprobe")}, plan.Image{}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range tt.make {
				if err := f(dir); err != nil {
					t.Fatal(err)
				}
			}
			var got plan.Image
			if err := Describe(dir, &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
