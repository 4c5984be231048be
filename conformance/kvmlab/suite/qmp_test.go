package suite

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
	"github.com/runcvm/runcvm/conformance/kvmlab/toolroot"
)

// TestQEMUObjects asks QEMU itself what it has made of a plan's arguments, where
// the guest does not show it.
func TestQEMUObjects(t *testing.T) {
	onKVM(t)
	tests := []struct {
		name, profile string
		cpu           map[string]any // properties of the first vCPU
		ioapic        string         // QEMU's type of the interrupt controller
		tickPolicy    string         // of the host kernel's timer; "" where QEMU has its own
	}{
		{
			"default", "",
			map[string]any{"svm": false, "vmx": false, "pmu": false, "kvm-hint-dedicated": false},
			"kvm-ioapic", "delay",
		},
		{
			"changed", `machine {
  nested = true
}
kvm {
  lost_tick_policy = "discard"
  hint_dedicated   = true
}`,
			map[string]any{"pmu": false, "kvm-hint-dedicated": true},
			"kvm-ioapic", "discard",
		},
		{
			"split", "kvm {\n  kernel_irqchip = \"split\"\n}",
			map[string]any{"svm": false},
			"ioapic", "",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBundle(t, "true")
			b.profile(test.profile)
			m := b.pausedQEMU()
			cpus := m.typed("/machine/unattached", "host-x86_64-cpu")
			if len(cpus) != 1 {
				t.Fatalf("vCPUs: %q", cpus)
			}
			for name, want := range test.cpu {
				equal(t, name, m.get(cpus[0], name), want)
			}
			equal(t, "interrupt controllers "+test.ioapic, len(m.typed("/machine/q35", test.ioapic)), 1)
			timers := m.typed("/machine/unattached", "kvm-pit")
			if test.tickPolicy == "" {
				equal(t, "timers of the host's kernel", len(timers), 0)
			} else {
				equal(t, "tick policy", m.get(timers[0], "lost_tick_policy"), any(test.tickPolicy))
			}
		})
	}
}

// TestPMURefused has a host whose KVM gives no performance counters, which the
// lab is: asking for them is refused with the reason.
func TestPMURefused(t *testing.T) {
	onKVM(t)
	if value, err := os.ReadFile("/sys/module/kvm/parameters/enable_pmu"); err != nil || strings.TrimSpace(string(value)) != "N" {
		t.Skipf("the host's KVM has performance counters: %s%v", value, err)
	}
	b := newBundle(t, "true")
	b.profile("kvm {\n  pmu = true\n}")
	r := b.run(strings.NewReader(""), "plan", "--bundle", b.dir)
	equal(t, "exit code", r.Code, 1)
	contains(t, "refusal", r.Stderr, "Performance counters are not available", "enable_pmu=0")
}

// monitor is a connection to the monitor of a paused QEMU.
type monitor struct {
	t       *testing.T
	encoder *json.Encoder
	decoder *json.Decoder
}

// pausedQEMU starts the QEMU of the bundle's plan, without the kernel and the
// shared files, and does not let its vCPUs run.
func (b *bundle) pausedQEMU() *monitor {
	b.t.Helper()
	var plan struct {
		Processes map[string]struct{ Argv []string }
	}
	if err := json.Unmarshal([]byte(b.must("plan", "--format", "json", "--bundle", b.dir)), &plan); err != nil {
		b.t.Fatal(err)
	}
	tools, err := toolroot.Open(harness.Prefix())
	if err != nil {
		b.t.Fatal(err)
	}
	argv := plan.Processes["qemu"].Argv
	args := []string{"-S"}
	for _, dir := range tools.Firmware() {
		args = append(args, "-L", dir)
	}
	for i := 1; i < len(argv); i++ {
		hasValue := i+1 < len(argv) && !strings.HasPrefix(argv[i+1], "-")
		switch {
		case slices.Contains([]string{"-kernel", "-initrd", "-append"}, argv[i]),
			hasValue && (strings.Contains(argv[i+1], "share,fd=") || strings.Contains(argv[i+1], "vhost-user-fs-pci")):
			i++
		default:
			args = append(args, argv[i])
		}
	}
	// The monitor is the first inherited descriptor; console and agent come next.
	var files []*os.File
	var conn net.Conn
	for range 3 {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			b.t.Fatal(err)
		}
		ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
		b.t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
		if conn == nil {
			if conn, err = net.FileConn(ours); err != nil {
				b.t.Fatal(err)
			}
		}
		files = append(files, theirs)
	}
	cmd := tools.Command(b.t.Context(), "usr/bin/qemu-system-x86_64", args...)
	var output strings.Builder
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = files, &output, &output
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = conn.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if b.t.Failed() {
			b.t.Logf("QEMU: %s", output.String())
		}
	})
	if err := conn.SetDeadline(time.Now().Add(commandLimit)); err != nil {
		b.t.Fatal(err)
	}
	m := &monitor{t: b.t, encoder: json.NewEncoder(conn), decoder: json.NewDecoder(conn)}
	m.command("qmp_capabilities", nil, nil)
	return m
}

// command runs a command of the monitor and decodes what it returns.
func (m *monitor) command(name string, arguments map[string]string, result any) {
	m.t.Helper()
	request := map[string]any{"execute": name}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := m.encoder.Encode(request); err != nil {
		m.t.Fatal(err)
	}
	for {
		var answer struct{ Return, Error json.RawMessage }
		if err := m.decoder.Decode(&answer); err != nil {
			m.t.Fatalf("%s: %v", name, err)
		}
		switch {
		case answer.Error != nil:
			m.t.Fatalf("%s %v: %s", name, arguments, answer.Error)
		case answer.Return != nil && result != nil:
			if err := json.Unmarshal(answer.Return, result); err != nil {
				m.t.Fatal(err)
			}
			return
		case answer.Return != nil:
			return
		} // the greeting, or an event
	}
}

// typed lists the objects of a type that are in a folder of QEMU's.
func (m *monitor) typed(dir, kind string) []string {
	m.t.Helper()
	var list []struct{ Name, Type string }
	m.command("qom-list", map[string]string{"path": dir}, &list)
	var paths []string
	for _, item := range list {
		if item.Type == fmt.Sprintf("child<%s>", kind) {
			paths = append(paths, dir+"/"+item.Name)
		}
	}
	return paths
}

// get reads a property.
func (m *monitor) get(path, property string) any {
	m.t.Helper()
	var value any
	m.command("qom-get", map[string]string{"path": path, "property": property}, &value)
	return value
}
