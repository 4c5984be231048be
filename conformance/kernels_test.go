package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/conformance/harness"
)

// installedKernel is the folder of the default kernel, and its release.
func installedKernel(t *testing.T) (dir, release string) {
	t.Helper()
	link := filepath.Join(harness.Prefix(), "kernels/debian/latest")
	release, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(filepath.Dir(link), release), release
}

// layered is a root file system of its own over the shared one: what a test
// puts into it is in no other.
func layered(t *testing.T, lower string) string {
	t.Helper()
	dir, err := os.MkdirTemp(suite.engine.Scratch, "layer-")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	merged := filepath.Join(dir, "merged")
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, filepath.Join(dir, "upper"), filepath.Join(dir, "work"))
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(merged, 0); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	return merged
}

// kernelBundle is a bundle over a root of its own.
func kernelBundle(t *testing.T, args []string, env ...string) (b *bundle, root string) {
	t.Helper()
	b = newBundle(t, nil)
	b.edit(func(config map[string]any) {
		root = layered(t, config["root"].(map[string]any)["path"].(string))
		config["root"] = map[string]any{"path": root, "readonly": false}
		process := config["process"].(map[string]any)
		process["args"] = args
		for _, e := range env {
			process["env"] = append(process["env"].([]any), e)
		}
	})
	return b, root
}

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	// The shared root's own may be a link.
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// plannedKernel is what the plan of a bundle says of the kernel.
type plannedKernel struct {
	Source, Reason, Distribution, Version string

	HostDir string `json:"host_dir"`
	Modules string
}

func (b *bundle) kernel() (k plannedKernel, warnings string) {
	b.t.Helper()
	var plan struct {
		Kernel   plannedKernel
		Warnings []struct{ Summary, Detail string }
	}
	if err := json.Unmarshal([]byte(must(b.t, b.runcvm("plan", "--bundle", b.dir, "--format", "json"))), &plan); err != nil {
		b.t.Fatal(err)
	}
	return plan.Kernel, fmt.Sprint(plan.Warnings)
}

// TestKernelOfTheImage boots the kernels of images, each in the shape of its
// distribution. What is built for one is used again.
func TestKernelOfTheImage(t *testing.T) {
	vmOnly(t)
	alone(t)
	_, release := installedKernel(t)
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) {
			b, root := kernelBundle(t, []string{"sh", "-c", "uname -r; cat /proc/cmdline"})
			s.fill(t, root)
			k, _ := b.kernel()
			if k.Source != "image" || k.Distribution != name || k.Version != release || k.Modules != "none" {
				t.Errorf("the plan has %+v", k)
			}
			out := must(t, b.runcvm("run", "--bundle", b.dir, b.id()))
			if !strings.HasPrefix(out, release+"\n") || !strings.Contains(out, s.cmdline) {
				t.Errorf("the machine says %q", out)
			}
			if name != "debian" {
				return
			}
			built, err := os.Stat(filepath.Join(k.HostDir, "kernel"))
			if err != nil {
				t.Fatal(err)
			}
			must(t, b.runcvm("run", "--bundle", b.dir, b.id()))
			again, err := os.Stat(filepath.Join(k.HostDir, "kernel"))
			if err != nil || !os.SameFile(built, again) {
				t.Errorf("built once more: %v", err)
			}
		})
	}
}

// TestKernelOfAContainersImage has Docker run an image with a kernel.
func TestKernelOfAContainersImage(t *testing.T) {
	vmOnly(t)
	alone(t)
	_, release := installedKernel(t)
	dir := t.TempDir()
	shapes["debian"].fill(t, filepath.Join(dir, "root"))
	tag := "conformance:kernel"
	if err := suite.engine.BuildImage(t.Context(), tag, "FROM "+image+"\nCOPY root/boot /boot/\nCOPY root/lib/modules /usr/lib/modules\nRUN ln -s boot/vmlinuz-* /vmlinuz\n", dir); err != nil {
		t.Fatal(err)
	}
	c := background(t, tag, "sh", "-c", "uname -r; sleep infinity")
	c.logged(release)
	if plan := content(t, c.stateFile("plan.json")); !strings.Contains(plan, `"kernel":{"source":"image"`) {
		t.Errorf("the plan lacks the image's kernel: %s", plan)
	}
	equal(t, "docker diff", must(t, docker(t, "diff", c.name)), "")
}

// stateFile is the path of a file in the container's state folder.
func (c *container) stateFile(name string) string {
	c.t.Helper()
	found, err := filepath.Glob(filepath.Join(harness.RunDir(), "state/*", c.inspect("{{.Id}}"), name))
	if err != nil || len(found) != 1 {
		c.t.Fatalf("files %s: %q, %v", name, found, err)
	}
	return found[0]
}

// suiteRuntime calls the runtime that the engine uses.
func suiteRuntime(t *testing.T, args ...string) harness.Result {
	t.Helper()
	r, err := harness.Run(harness.Installed().Command(t.Context(), args...), strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestKernelByRelease has images that bring no kernel: os-release chooses among
// those that are installed, of which one is ours under another name.
func TestKernelByRelease(t *testing.T) {
	vmOnly(t)
	alone(t)
	kernel, release := installedKernel(t)
	must(t, suiteRuntime(t, "kernels", "add", "ubuntu", kernel))
	t.Cleanup(func() { _ = harness.Installed().Command(t.Context(), "kernels", "remove", "ubuntu/"+release).Run() })
	defer func() { must(t, suiteRuntime(t, "kernels", "remove", "ubuntu/"+release)) }()
	for name, tt := range map[string]struct{ osRelease, distribution, reason string }{
		"ID":      {"ID=ubuntu\nID_LIKE=debian\n", "ubuntu", `"ubuntu" as its ID`},
		"ID_LIKE": {"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "ubuntu", `"ubuntu" as its ID_LIKE`},
		"default": {"ID=plan9\n", "debian", "the default"},
	} {
		b, root := kernelBundle(t, []string{"uname", "-r"})
		put(t, filepath.Join(root, "etc/os-release"), tt.osRelease)
		k, _ := b.kernel()
		if k.Source != "catalogue" || k.Distribution != tt.distribution || !strings.Contains(k.Reason, tt.reason) {
			t.Errorf("%s: the plan has %+v", name, k)
		}
		if name == "ID" {
			equal(t, "release", must(t, b.runcvm("run", "--bundle", b.dir, b.id())), release+"\n")
		}
	}
}

// TestHostileKernelOfTheImage has images made to harm the host: each boots with
// an installed kernel, and a warning says why.
func TestHostileKernelOfTheImage(t *testing.T) {
	vmOnly(t)
	alone(t)
	for name, tt := range map[string]struct {
		make func(vmlinuz string) error
		says string
	}{
		"a link to the host": {func(v string) error {
			return os.Symlink(filepath.Join(harness.Prefix(), "kernels/debian/latest/vmlinuz"), v)
		}, "leads to nothing"},
		"a loop":   {func(v string) error { return os.Symlink("vmlinuz", v) }, "loop of links"},
		"a FIFO":   {func(v string) error { return unix.Mkfifo(v, 0o644) }, "FIFO"},
		"a device": {func(v string) error { return unix.Mknod(v, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))) }, "device"},
		"a folder": {func(v string) error { return os.Mkdir(v, 0o755) }, "directory"},
		"4 GiB":    {sparseKernel, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			b, root := kernelBundle(t, []string{"uname", "-r"})
			if err := tt.make(filepath.Join(root, "vmlinuz")); err != nil {
				t.Fatal(err)
			}
			k, warnings := b.kernel()
			if k.Source != "catalogue" || !strings.Contains(warnings, "/vmlinuz ("+tt.says) && !strings.Contains(warnings, tt.says) {
				t.Errorf("the plan has %+v and warns of %s", k, warnings)
			}
			if name == "4 GiB" {
				_, release := installedKernel(t)
				equal(t, "release", must(t, b.runcvm("run", "--bundle", b.dir, b.id())), release+"\n")
			}
			b.edit(func(config map[string]any) {
				process := config["process"].(map[string]any)
				process["env"] = append(process["env"].([]any), "RUNCVM_KERNEL_SOURCE=image")
			})
			if r := b.runcvm("run", "--bundle", b.dir, b.id()); r.Code == 0 || !strings.Contains(r.Stderr, "No kernel in the image") || !strings.Contains(r.Stderr, tt.says) {
				t.Errorf("asked for the image's: %+v", r)
			}
		})
	}
}

func sparseKernel(name string) error {
	if err := os.WriteFile(name, []byte("MZ"), 0o644); err != nil {
		return err
	}
	return os.Truncate(name, 4<<30)
}

// withModprobe puts the host's modprobe and its libraries into a root: the
// host is of the root's own Debian release.
func withModprobe(t *testing.T, root string) {
	t.Helper()
	kmod, err := exec.LookPath("kmod")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "ldd", kmod).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(out)) {
		if _, err := os.Stat(filepath.Join(root, word)); strings.HasPrefix(word, "/") && err != nil {
			put(t, filepath.Join(root, word), content(t, word))
		}
	}
	put(t, filepath.Join(root, "usr/bin/kmod"), content(t, kmod))
	if err := os.Chmod(filepath.Join(root, "usr/bin/kmod"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/usr/bin/kmod", filepath.Join(root, "usr/sbin/modprobe")); err != nil {
		t.Fatal(err)
	}
}

// TestKernelModules loads a module of an installed kernel by the image's own
// modprobe, for each value of kernel.modules.
func TestKernelModules(t *testing.T) {
	vmOnly(t)
	alone(t)
	_, release := installedKernel(t)
	const script = `ls /lib/modules; grep -o '/lib/modules[^ ]* virtiofs ro' /proc/mounts; modprobe dummy numdummies=1 && ls /sys/class/net`
	for name, tt := range map[string]struct {
		env  string
		want harness.Result
	}{
		"auto": {"RUNCVM_KERNEL_MODULES=auto", harness.Result{Stdout: release + "\n/lib/modules/" + release + " virtiofs ro\ndummy0\nlo\n"}},
		"all":  {"RUNCVM_KERNEL_MOUNT_LIB_MODULES=1", harness.Result{Stdout: release + "\n/lib/modules virtiofs ro\ndummy0\nlo\n"}},
		"none": {"RUNCVM_KERNEL_MODULES=none", harness.Result{Stdout: "other\n", Code: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b, root := kernelBundle(t, []string{"sh", "-c", script}, tt.env)
			withModprobe(t, root)
			if strings.Contains(tt.want.Stdout, "other") {
				put(t, filepath.Join(root, "lib/modules/other/modules.dep"), "")
			}
			b.edit(func(config map[string]any) {
				process := config["process"].(map[string]any)
				for name, set := range process["capabilities"].(map[string]any) {
					process["capabilities"].(map[string]any)[name] = append(set.([]any), "CAP_SYS_MODULE")
				}
			})
			r := b.runcvm("run", "--bundle", b.dir, b.id())
			r.Stdout = strings.ReplaceAll(r.Stdout, "/usr/lib/modules", "/lib/modules")
			if r.Stdout != tt.want.Stdout || (r.Code != 0) != (tt.want.Code != 0) {
				t.Errorf("%+v, want %+v", r, tt.want)
			}
		})
	}
}

// TestKernelOfFiles boots files of the host that a variable names, and shows
// their modules.
func TestKernelOfFiles(t *testing.T) {
	vmOnly(t)
	start(t)
	kernel, release := installedKernel(t)
	env := func(more ...string) []string {
		args := []string{"--env", "RUNCVM_KERNEL_IMAGE=" + filepath.Join(kernel, "vmlinuz")}
		for _, e := range more {
			args = append(args, "--env", e)
		}
		return append(args, image, "sh", "-c", "uname -r; ls /lib/modules/"+release+"/modules.dep")
	}
	r := run(t, env("RUNCVM_KERNEL_MODULES_DIR="+filepath.Join(kernel, "lib/modules", release), "RUNCVM_KERNEL_MODULES=version")...)
	want(t, r, harness.Result{Stdout: release + "\n/lib/modules/" + release + "/modules.dep\n"})
	r = run(t, env("RUNCVM_KERNEL_INITRAMFS="+filepath.Join(kernel, "initramfs"))...)
	if r.Stdout != release+"\n" || r.Code == 0 {
		t.Errorf("with an initramfs and no modules: %+v", r)
	}
	for value, says := range map[string]string{
		"RUNCVM_KERNEL_MODULES_DIR=/etc": "has no virtiofs", "RUNCVM_KERNEL_MODULES_DIR=etc": "not an absolute path",
		"RUNCVM_KERNEL_INITRAMFS=/dev/zero": "device",
	} {
		if r := run(t, env(value)...); r.Code == 0 || !strings.Contains(r.Stderr, says) {
			t.Errorf("%s: %+v", value, r)
		}
	}
}

// TestKernelDebug looks for the kernel's words in the supervisor's log.
func TestKernelDebug(t *testing.T) {
	vmOnly(t)
	start(t)
	for value, says := range map[string]bool{"1": true, "0": false} {
		c := background(t, "--env", "RUNCVM_KERNEL_DEBUG="+value, image, "sh", "-c", "echo up; sleep infinity")
		c.logged("up")
		if got := strings.Contains(content(t, c.stateFile("supervisor.log")), "Run /init as init process"); got != says {
			t.Errorf("RUNCVM_KERNEL_DEBUG=%s: the kernel speaks: %v", value, got)
		}
	}
}

// genericKernel adds Debian's generic kernel until the end of a test that runs
// alone, and returns its name for RUNCVM_KERNEL.
func genericKernel(t *testing.T) string {
	t.Helper()
	harness.Require(t, harness.GenericKernel)
	var added struct {
		Kernel struct{ Distribution, Version string }
	}
	r := suiteRuntime(t, "kernels", "add", "--format", "json", "--keep-latest", "debian", harness.GenericKernelPackage())
	if err := json.Unmarshal([]byte(must(t, r)), &added); err != nil {
		t.Fatal(err)
	}
	name := added.Kernel.Distribution + "/" + added.Kernel.Version
	t.Cleanup(func() {
		// By a context of its own, since the test's has ended; the test may have
		// removed it.
		if _, err := os.Stat(filepath.Join(harness.Prefix(), "kernels", name)); err != nil {
			return
		}
		if out, err := harness.Installed().Command(context.Background(), "kernels", "remove", name).CombinedOutput(); err != nil {
			t.Errorf("remove the kernel %s: %v: %s", name, err, out)
		}
	})
	return name
}

// TestGenericKernel adds Debian's generic kernel from its package, boots it,
// with the network devices that the cloud kernel has no drivers for, and removes
// it when no machine runs it.
func TestGenericKernel(t *testing.T) {
	vmOnly(t)
	alone(t)
	name := genericKernel(t)
	must(t, suiteRuntime(t, "kernels", "verify", name))
	w := newDeviceNetworks(t, 44, 45, 46)
	c := w.machine("--env", "RUNCVM_KERNEL="+name, "--env", `RUNCVM_PROFILE=
		network { model = "e1000e" }
		nic "eth1" { model = "e1000" }
		nic "eth2" { model = "rtl8139" }`, probeImage, "sh", "-c", "uname -r; sleep infinity")
	c.logged(filepath.Base(name))
	equal(t, "drivers and MTUs", must(t, c.exec("sh", "-c", driversAndMTUs)), "eth0 e1000e 1500\neth1 e1000 1500\neth2 8139cp 1500\n")
	w.echo(c)
	if r := suiteRuntime(t, "kernels", "remove", name); r.Code == 0 || !strings.Contains(r.Stderr, "in use") {
		t.Errorf("removed under a running machine: %+v", r)
	}
	must(t, c.exec("true"))
	must(t, docker(t, "rm", "--force", c.name))
	must(t, suiteRuntime(t, "kernels", "remove", name))
	if out := must(t, suiteRuntime(t, "kernels", "list")); strings.Contains(out, name) {
		t.Errorf("it is still listed:\n%s", out)
	}
}

// TestUnknownKernel is an error of docker run that names the kernels.
func TestUnknownKernel(t *testing.T) {
	vmOnly(t)
	start(t)
	for value, says := range map[string]string{
		"debain": "Did you mean", "debian/6": "not installed", "..": "must not have", "debian/../x": "must not have",
	} {
		if r := run(t, "--env", "RUNCVM_KERNEL="+value, image, "true"); r.Code == 0 || !strings.Contains(r.Stderr, says) {
			t.Errorf("%s: %+v", value, r)
		}
	}
}
