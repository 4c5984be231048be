package engine_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runcvm/runcvm/engine"
	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/internal/testkit"
	"github.com/runcvm/runcvm/runtime/install"
)

// TestProgramsAcceptArguments starts virtiofsd and QEMU of the installed tool
// root, as the supervisor does, with a plan's arguments but its kernel, and ends
// them by QMP.
func TestProgramsAcceptArguments(t *testing.T) {
	testkit.Require(t, testkit.Root, testkit.Install, testkit.NetNS, testkit.Tun)
	tools, err := install.ReadTools(filepath.Join(testkit.InstalledPrefix(), install.ToolRoot))
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]struct {
		blocks string
		asks   []question
	}{
		"seabios": {"firmware {\n type = \"seabios\"\n debug = true\n }", nil},
		"qboot":   {"firmware {\n type = \"qboot\"\n }", nil},
		"efi":     {"firmware {\n type = \"efi\"\n debug = true\n }", []question{{`"query-block"`, `efivars.fd`}}},
		"microvm": {"machine {\n type = \"microvm\"\n }", []question{
			{`"query-pci"`, `"return": []`},
			{`"qom-list","arguments":{"path":"/machine/peripheral"}`, `child<vhost-user-fs-device>`},
		}},
		"memory": {"machine {\n memory = \"128M\"\n max_memory = \"1G\"\n memory_backend = \"shm\"\n prealloc = true\n }", []question{
			{`"query-memdev"`, `"prealloc": true`},
			// There is room for it, in whole blocks.
			{`"query-memory-devices"`, `"type": "virtio-mem"`},
			{`"query-memory-devices"`, `"max-size": 939524096`},
			{`"qom-set","arguments":{"path":"/machine/peripheral/more-memory","property":"requested-size","value":134217728}`, `"return"`},
			{`"query-memory-devices"`, `"requested-size": 134217728`},
			{`"query-balloon"`, `"actual": 134217728`},
		}},
		"vCPUs": {"machine {\n cpus = 1\n max_cpus = 3\n }", []question{
			{`"query-hotpluggable-cpus"`, `"core-id": 2`},
			{`"device_add","arguments":{"driver":"max-x86_64-cpu","id":"vcpu1","socket-id":0,"core-id":1,"thread-id":0}`, `"return"`},
			{`"query-cpus-fast"`, `"cpu-index": 1`},
		}},
		"processor": {"machine {\n cpu_model = \"Nehalem\"\n cpu_features = [\"+rdrand\", \"-ssse3\"]\n }", []question{
			{`"qom-get","arguments":{"path":"/machine/unattached/device[0]","property":"type"}`, `Nehalem-x86_64-cpu`},
			{`"qom-get","arguments":{"path":"/machine/unattached/device[0]","property":"rdrand"}`, `"return": true`},
			{`"qom-get","arguments":{"path":"/machine/unattached/device[0]","property":"ssse3"}`, `"return": false`},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			spec, facts := dockerSpec(t), hostFacts(t)
			facts.Tools = tools
			p, diags := engine.Compile(resolve(t, "profile \"default\" {\n "+k.blocks+"\n}\n", spec, facts), spec, facts)
			if err := diags.Err(); err != nil {
				t.Fatal(err)
			}
			acceptArguments(t, tools, p, k.asks)
		})
	}
}

// question is a command of QMP, and what the answer has in it.
type question struct{ execute, want string }

// inToolRoot is a command line that runs argv with root as its root, which is a
// mount as in a container, and a /proc of its own in it.
func inToolRoot(root string, argv []string) []string {
	const script = `mount --rbind "$0" "$0" && mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/dev" && mkdir "$0/dev/shm" &&
		mount -t tmpfs tmpfs "$0/run/runcvm" && cp "$0` + plan.EFIVars + `" "$0/run/runcvm/` + plan.EFIVarsState + `" && exec chroot "$0" "$@"`
	return append([]string{"unshare", "--mount", "sh", "-c", script, root}, argv...)
}

func acceptArguments(t *testing.T, tools plan.Tools, p *plan.Plan, asks []question) {
	t.Helper()
	share, err := net.Listen("unix", t.TempDir()+"/share")
	if err != nil {
		t.Fatal(err)
	}
	defer share.Close()
	listener, err := share.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server := startProgram(t, "virtiofsd", inToolRoot(tools.Root, p.Processes["virtiofsd"].Argv), []*os.File{listener})

	connection, err := net.Dial("unix", share.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	shareFD, err := connection.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer shareFD.Close()
	qmp, qmpPeer := socketPair(t)
	_, consolePeer := socketPair(t)
	_, agentPeer := socketPair(t)
	_, firmwarePeer := socketPair(t)
	argv := append(withoutKernel(p.Processes["qemu"].Argv), "-S")
	argv = append(argv, qemu.NIC{On: qemu.Bus(p.Machine.Bus), Model: "virtio", MAC: "02:42:ac:11:00:02", MTU: 1500, Queues: 1, FirstFD: plan.FDFirstDisk}.Args()...)
	tap := openTap(t)
	machine := startProgram(t, "QEMU", inToolRoot(tools.Root, argv), []*os.File{
		plan.FDQMP - 3: qmpPeer, plan.FDConsole - 3: consolePeer, plan.FDAgent - 3: agentPeer,
		plan.FDShare - 3: shareFD, plan.FDFirmware - 3: firmwarePeer, plan.FDFirstDisk - 3: tap,
	})
	for _, f := range []*os.File{qmpPeer, consolePeer, agentPeer, firmwarePeer, tap} {
		f.Close()
	}

	conn, err := net.FileConn(qmp)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	replies := bufio.NewScanner(conn)
	expect := func(want string) {
		for replies.Scan() {
			if strings.Contains(replies.Text(), want) {
				return
			}
		}
		t.Fatalf("QEMU did not say %s; %s; %s", want, server.state(), machine.state())
	}
	expect(`"QMP"`)
	fmt.Fprintln(conn, `{"execute":"qmp_capabilities"}`)
	expect(`"return"`)
	fmt.Fprintln(conn, `{"execute":"query-status"}`)
	expect(`"prelaunch"`)
	for _, q := range asks {
		fmt.Fprintf(conn, "{\"execute\":%s}\n", q.execute)
		answer(replies, t, q)
	}
	fmt.Fprintln(conn, `{"execute":"quit"}`)
	<-machine.ended
	if machine.err != nil {
		t.Error(machine.state())
	}
}

// answer reads the answer of a question, past events.
func answer(replies *bufio.Scanner, t *testing.T, q question) {
	t.Helper()
	for replies.Scan() {
		text := replies.Text()
		if strings.Contains(text, `"event"`) {
			continue
		}
		if !strings.Contains(text, q.want) {
			t.Errorf("QEMU answers %s with %s, want %s in it", q.execute, text, q.want)
		}
		return
	}
	t.Fatalf("QEMU does not answer %s", q.execute)
}

// withoutKernel leaves out the files of a kernel that is not installed.
func withoutKernel(argv []string) []string {
	var out []string
	for i := 0; i < len(argv); i++ {
		if argv[i] == "-kernel" || argv[i] == "-initrd" || argv[i] == "-append" {
			i++
			continue
		}
		out = append(out, argv[i])
	}
	return out
}

// child is a program that a test runs.
type child struct {
	name   string
	output bytes.Buffer
	ended  chan struct{} // closed when it has ended
	err    error         // how it ended, once it has
}

// state says how the program is doing, for messages.
func (c *child) state() string {
	select {
	case <-c.ended:
		return fmt.Sprintf("%s ended (%v): %s", c.name, c.err, c.output.String())
	default:
		return c.name + " runs"
	}
}

// startProgram runs a program with files as its descriptors from 3 on until the
// test ends.
func startProgram(t *testing.T, name string, argv []string, files []*os.File) *child {
	t.Helper()
	c := &child{name: name, ended: make(chan struct{})}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.ExtraFiles = files
	cmd.Stdout, cmd.Stderr = &c.output, &c.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		c.err = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-c.ended
	})
	return c
}

func socketPair(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs = os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}
