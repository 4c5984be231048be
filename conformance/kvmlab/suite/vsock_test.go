package suite

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/runcvm/runcvm/conformance/harness"
)

// vhostVsock is the host's side of all vsock devices.
const vhostVsock = "/dev/vhost-vsock"

// candidates are the context ids that are tried for a container, in order, as
// docs/decisions/0017-vsock-by-descriptor.md has them.
func candidates(id string) []uint32 {
	list := make([]uint32, 32)
	for n := range list {
		sum := sha256.Sum256(fmt.Appendf(nil, "runcvm vsock %d %s", n, id))
		list[n] = binary.BigEndian.Uint32(sum[:])&(1<<30-1) | 1<<30
	}
	return list
}

// occupy takes a context id, as another program on the host may, until release
// or the test's end.
func occupy(t *testing.T, cid uint32) (release func()) {
	t.Helper()
	const setGuestCID = 0x4008af60 // VHOST_VSOCK_SET_GUEST_CID of linux/vhost.h
	f, err := os.OpenFile(vhostVsock, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	value := uint64(cid)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), setGuestCID, uintptr(unsafe.Pointer(&value))); errno != 0 {
		t.Fatalf("occupy the context id %d: %v", cid, errno)
	}
	return func() { f.Close() }
}

// agentPlan is a plan's decision about the agent's stream.
type agentPlan struct {
	Transport string
	Reason    string `json:"transport_reason"`
}

// statePath is a file of the container's state folder, which it has as long as
// it is not deleted.
func (b *bundle) statePath(name string) string {
	sum := sha256.Sum256([]byte(b.root))
	return filepath.Join(harness.RunDir(), "state", fmt.Sprintf("%x", sum[:4]), b.id, name)
}

// stateFile reads a file of the container's state folder.
func (b *bundle) stateFile(name string) []byte {
	b.t.Helper()
	body, err := os.ReadFile(b.statePath(name))
	if err != nil {
		b.t.Fatal(err)
	}
	return body
}

// agent is the running container's plan.
func (b *bundle) agent() agentPlan {
	b.t.Helper()
	var plan struct{ Agent agentPlan }
	if err := json.Unmarshal(b.stateFile("plan.json"), &plan); err != nil {
		b.t.Fatal(err)
	}
	return plan.Agent
}

// agentRecord is what the supervisor's log says of the agent's stream.
type agentRecord struct {
	Transport string `json:"transport"`
	InsteadOf string `json:"instead_of"`
	ContextID uint32 `json:"context_id"`
	Error     string `json:"error"`
}

// agentRecord is there once an exec has been answered.
func (b *bundle) agentRecord() (record agentRecord) {
	b.t.Helper()
	for line := range bytes.Lines(b.stateFile("supervisor.log")) {
		if !bytes.Contains(line, []byte(`"msg":"agent"`)) {
			continue
		}
		if err := json.Unmarshal(line, &record); err != nil {
			b.t.Fatal(err)
		}
		return record
	}
	b.t.Fatal("the supervisor's log has no record of the agent")
	return record
}

// device is the device that the guest has for the stream, by its number in the
// virtio specification. An exec reads it, over that stream.
func (b *bundle) device() string {
	b.t.Helper()
	names := map[string]string{"0x0003": "virtio-serial", "0x0013": "vsock"}
	var found []string
	for _, id := range strings.Fields(b.must("exec", b.id, "sh", "-c", "cat /sys/bus/virtio/devices/*/device")) {
		if name := names[id]; name != "" {
			found = append(found, name)
		}
	}
	return strings.Join(found, " ")
}

// TestVsockCollision has two machines whose context ids collide, with each
// other's and with that of another program.
func TestVsockCollision(t *testing.T) {
	onKVM(t)
	first, second := newBundle(t, "sleep", "infinity"), newBundle(t, "sleep", "infinity")
	// One name in two roots, of which each has its own cgroup.
	second.id = first.id
	for i, b := range []*bundle{first, second} {
		b.edit(func(config map[string]any) {
			config["linux"].(map[string]any)["cgroupsPath"] = fmt.Sprintf("/%s-%d", first.id, i)
		})
	}
	list := candidates(first.id)
	release := occupy(t, list[0])
	first.detach()
	second.detach()
	release()
	for i, b := range []*bundle{first, second} {
		equal(t, "transport", b.agent().Transport, "vsock")
		equal(t, "device", b.device(), "vsock")
		equal(t, "context id", b.agentRecord().ContextID, list[i+1])
		r := b.run(strings.NewReader("mine"), "exec", b.id, "sh", "-c", fmt.Sprintf("cat; exit %d", i+1))
		equal(t, "exec", r, harness.Result{Stdout: "mine", Code: i + 1})
	}
	first.must("delete", "--force", first.id)
	second.must("delete", "--force", second.id)
	// Nothing of the addresses stays behind.
	for _, cid := range list[:3] {
		occupy(t, cid)
	}
}

// TestVsockFallback has every cause for which a stream goes by virtio-serial,
// with its reason in the facts and in the plan. Two of them boot.
func TestVsockFallback(t *testing.T) {
	onKVM(t)
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, b *bundle)
		reason  string
		boots   bool
	}{
		{"missing", withoutDevice, vhostVsock + " does not exist: the kernel module vhost_vsock is not loaded", true},
		{"busy", func(t *testing.T, b *bundle) { busyDevice(t, b, vhostVsock) }, vhostVsock + " is busy (device or resource busy).", false},
		{"denied by cgroup", deniedByCgroup, vhostVsock + " is denied (operation not permitted): the cgroup", false},
		{"no context id", func(t *testing.T, b *bundle) {
			for _, cid := range candidates(b.id) {
				occupy(t, cid)
			}
		}, vhostVsock + " opens, but is busy: each of the 32 context ids", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBundle(t, "sleep", "infinity")
			test.prepare(t, b)
			if !test.boots {
				var facts struct{ Vsock struct{ Reason string } }
				b.decode(&facts, "facts", "--bundle", b.dir)
				contains(t, "reason in the facts", facts.Vsock.Reason, test.reason)
				var plan struct{ Agent agentPlan }
				b.decode(&plan, "plan", "--format", "json", "--bundle", b.dir)
				equal(t, "planned transport", plan.Agent.Transport, "virtio-serial")
				contains(t, "reason in the plan", plan.Agent.Reason, test.reason)
				return
			}
			b.detach()
			agent := b.agent()
			equal(t, "transport", agent.Transport, "virtio-serial")
			contains(t, "reason", agent.Reason, test.reason)
			equal(t, "device", b.device(), "virtio-serial")
			b.must("delete", "--force", b.id)
		})
	}
}

// TestVsockDenied has the container's cgroup deny the device, and not that of
// who creates it: the descriptor was open before.
func TestVsockDenied(t *testing.T) {
	onKVM(t)
	b := newBundle(t, "sleep", "infinity")
	cgroup := denyingCgroup(t)
	b.edit(func(config map[string]any) {
		config["linux"].(map[string]any)["cgroupsPath"] = filepath.Join("/", filepath.Base(cgroup), "container")
	})
	b.detach()
	equal(t, "transport", b.agent().Transport, "vsock")
	equal(t, "device", b.device(), "vsock")
	b.must("delete", "--force", b.id)
}

// TestVsockLostOnTheWay has a runtime below that does not hand the descriptor
// on: the supervisor falls back, and says so.
func TestVsockLostOnTheWay(t *testing.T) {
	onKVM(t)
	b := newBundle(t, "sleep", "infinity")
	script := filepath.Join(b.root, "losing-runc")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec runc \"$@\" 3</dev/null\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.options = append(b.options, "--runtime="+script)
	b.detach()
	equal(t, "planned transport", b.agent().Transport, "vsock")
	equal(t, "device", b.device(), "virtio-serial")
	record := b.agentRecord()
	equal(t, "transport", record.Transport+" instead of "+record.InsteadOf, "virtio-serial instead of vsock")
	if !strings.Contains(record.Error, "descriptor 3 is not the socket") {
		t.Errorf("the log gives the reason %q", record.Error)
	}
	b.must("delete", "--force", b.id)
}

// TestVsockDemanded has a profile insist where there is no device.
func TestVsockDemanded(t *testing.T) {
	onKVM(t)
	b := newBundle(t, "true")
	withoutDevice(t, b)
	b.profile(`agent {
    transport = "vsock"
  }`)
	r := b.run(strings.NewReader(""), "run", "--bundle", b.dir, b.id)
	if r.Code != 1 || !strings.Contains(r.Stderr, "Vsock is not usable") || !strings.Contains(r.Stderr, vhostVsock+" does not exist") {
		t.Errorf("%+v", r)
	}
	equal(t, "status", b.status(), "")
}

// TestVsockDropped takes the guest's device away: the machine ends, and its end
// says why.
func TestVsockDropped(t *testing.T) {
	onKVM(t)
	b := newBundle(t, "sh", "-c", "cd /sys/bus/virtio/drivers/vmw_vsock_virtio_transport && ls | grep virtio > unbind; sleep infinity")
	b.edit(func(config map[string]any) {
		for _, m := range config["mounts"].([]any) {
			if m := m.(map[string]any); m["destination"] == "/sys" {
				m["options"] = []any{"nosuid", "noexec", "nodev"}
			}
		}
		config["linux"].(map[string]any)["readonlyPaths"] = []any{}
	})
	r := b.run(strings.NewReader(""), "run", "--bundle", b.dir, b.id)
	if r.Code != 125 || !strings.Contains(r.Stderr, "the supervisor has gone") {
		t.Errorf("%+v", r)
	}
}
