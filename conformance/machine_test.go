package conformance

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runcvm/runcvm/conformance/harness"
)

// logsOf returns what the supervisor's log has from a source.
func (c *container) logsOf(source string) string {
	c.t.Helper()
	var lines []string
	for line := range strings.Lines(content(c.t, c.stateFile("supervisor.log"))) {
		if strings.Contains(line, `"from":"`+source+`"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// mapping is what /proc/PID/smaps says of a file, in KiB.
type mapping struct{ size, resident, page int }

// mapped adds up QEMU's largest mapping of files whose name has a part.
func (c *container) mapped(part string) mapping {
	c.t.Helper()
	var largest, m mapping
	within := false
	for line := range strings.Lines(c.qemu().read("smaps")) {
		fields := strings.Fields(line)
		if !strings.HasSuffix(fields[0], ":") {
			within, m = strings.Contains(line, part), mapping{}
			continue
		}
		if !within || len(fields) != 3 {
			continue
		}
		kib, err := strconv.Atoi(fields[1])
		if err != nil {
			continue
		}
		switch fields[0] {
		case "Size:":
			m.size = kib
		case "KernelPageSize:":
			m.page = kib
		case "Rss:", "Shared_Hugetlb:", "Private_Hugetlb:":
			m.resident += kib
		}
		if m.size > largest.size || m.size == largest.size && m.resident > largest.resident {
			largest = m
		}
	}
	return largest
}

// TestMicroVM has all that a machine has on the devices of a microvm.
func TestMicroVM(t *testing.T) {
	start(t)
	vmOnly(t)
	volume, _ := newVolume(t)
	dir := tree(t, map[string]string{"from-host": "1\n"})
	c := background(t, "--label", "runcvm.profile=microvm", "--cpus", "2",
		"--volume", volume+":/disks", "--env", "RUNCVM_DISKS=/disks/d,/data,ext4,64M", "--env", "RUNCVM_NETWORK_QUEUES=2", "--env", "RUNCVM_BIOS_DEBUG=1",
		"--volume", dir+":/shared", image, "sh", "-c", "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done")
	c.logged("up")
	gateway := c.inspect("{{.NetworkSettings.Gateway}}")
	want(t, c.exec("bash", "-c", `ls /sys/bus/pci/devices 2>/dev/null | wc -l
		for d in /sys/bus/virtio/devices/*; do readlink -f $d; done | grep -cv LNRO0005
		nproc; findmnt -no FSTYPE /data; ls -d /sys/class/net/eth0/queues/tx-* | wc -l; cat /shared/from-host; echo guest > /shared/from-guest
		(exec 3<>/dev/tcp/`+gateway+`/1) 2>&1 | grep -o 'Connection refused' | head -1; echo e >&2; exit 7`),
		harness.Result{Stdout: "0\n0\n2\next4\n2\n1\nConnection refused\n", Stderr: "e\n", Code: 7})
	equal(t, "from the guest", content(t, dir+"/from-guest"), "guest\n")
	now, err := strconv.ParseInt(strings.TrimSpace(must(t, c.exec("date", "+%s"))), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if off := time.Since(time.Unix(now, 0)); off < -30*time.Second || off > 2*time.Minute {
		t.Errorf("the guest's clock is %v behind", off)
	}
	must(t, docker(t, "stop", "--time", "60", c.name))
	equal(t, "exit code", c.inspect("{{.State.ExitCode}}"), "9")
}

// TestEFI boots by EFI firmware, which is not heard on the console, with a processor that is none of
// the usual ones, with room for more memory, and with the profile "debug".
func TestEFI(t *testing.T) {
	start(t)
	vmOnly(t)
	c := background(t, "--security-opt", "systempaths=unconfined", "--label", "runcvm.profile=debug",
		"--env", "RUNCVM_BIOS=EFI", "--env", "RUNCVM_BIOS_DEBUG=1", "--env", "RUNCVM_MACHINE_MAX_MEMORY=2G",
		"--env", "RUNCVM_MACHINE_CPU_MODEL=Nehalem", "--env", "RUNCVM_MACHINE_CPU_FEATURES=+rdrand -pse36",
		image, "sh", "-c", "echo up; exec sleep infinity")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(content(t, c.stateFile("supervisor.log")))
		}
	})
	c.logged("up")
	want(t, c.exec("sh", "-c", `test -d /sys/firmware/efi && cat /sys/firmware/efi/fw_platform_size
		grep -o -m1 'Nehalem' /proc/cpuinfo; for f in rdrand pse36 svm sse4_2; do grep -q -m1 -w $f /proc/cpuinfo && echo $f; done
		cat /sys/bus/virtio/devices/*/device | grep -c 0x0018`), harness.Result{Stdout: "64\nNehalem\nrdrand\nsse4_2\n1\n"})
	// EFI's own output, without a line's end, is logged when QEMU ends.
	log := c.logsOf("console")
	if strings.Contains(log, "\\u001b") || strings.Contains(log, "BdsDxe") {
		t.Errorf("the firmware writes on the console: %s", log)
	}
	// What a kernel says at level 7 alone, and its first line.
	for _, word := range []string{"Linux version ", "Kernel command line: ", "with arguments:"} {
		if !strings.Contains(log, word) {
			t.Errorf("the profile debug shows no %q on the console: %s", word, log)
		}
	}
}

// TestMemoryBackends looks at what QEMU has for the guest's RAM.
func TestMemoryBackends(t *testing.T) {
	const memory = 192 // MiB
	hello := []string{image, "sh", "-c", "echo up; exec sleep infinity"}
	t.Run("shm and prealloc", func(t *testing.T) {
		start(t)
		vmOnly(t)
		c := background(t, append([]string{
			"--memory", fmt.Sprintf("%dm", memory), "--env", "RUNCVM_MACHINE_MEMORY_BACKEND=shm", "--env", "RUNCVM_QEMU_MEM_PREALLOC=on", "--env", "RUNCVM_BIOS_DEBUG=1",
		}, hello...)...)
		c.logged("up")
		if m := c.mapped("/dev/shm/"); m.size != memory<<10 || m.resident < memory<<10 {
			t.Errorf("RAM in /dev/shm: %+v KiB, want %d, all of it resident", m, memory<<10)
		}
		// The guest's own /dev/shm is as large as docker asks for.
		want(t, c.exec("sh", "-c", "df -k /dev/shm | tail -1 | { read a b c; echo $b; }"), harness.Result{Stdout: "65536\n"})
		if log := c.logsOf("firmware"); !strings.Contains(log, "SeaBIOS (version") {
			t.Errorf("the firmware's log: %q", log)
		}
	})
	t.Run("hugetlb", func(t *testing.T) {
		start(t)
		vmOnly(t)
		setAsideHugePages(t, memory/2)
		c := background(t, append([]string{"--memory", fmt.Sprintf("%dm", memory), "--env", "RUNCVM_HUGETLB=1"}, hello...)...)
		c.logged("up")
		if m := c.mapped("memfd:memory-backend-memfd"); m.size != memory<<10 || m.page != 2048 || m.resident == 0 || m.resident > m.size {
			t.Errorf("RAM in huge pages: %+v KiB, want %d in pages of 2048", m, memory<<10)
		}
		if log := c.logsOf("firmware"); log != "" {
			t.Errorf("the firmware is heard: %s", log)
		}
	})
	t.Run("without huge pages", func(t *testing.T) {
		start(t)
		vmOnly(t)
		oneError(t, run(t, "--memory", "8g", "--env", "RUNCVM_HUGETLB=1", image, "true"), "Not enough huge pages", "vm.nr_hugepages", "memfd", "8192M")
	})
}

// setAsideHugePages adds to the host's huge pages of 2 MiB until the test ends.
func setAsideHugePages(t *testing.T, more int) {
	t.Helper()
	const file = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
	read := func() int {
		n, err := strconv.Atoi(strings.TrimSpace(content(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := read()
	write := func(n int) {
		if err := os.WriteFile(file, []byte(strconv.Itoa(n)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(before + more)
	t.Cleanup(func() { write(before) })
	if got := read(); got < before+more {
		t.Skipf("the host's memory has room for %d of %d huge pages", got-before, more)
	}
}

// TestMachineOptionsThatCannotBe ends before a machine is there, with what can.
func TestMachineOptionsThatCannotBe(t *testing.T) {
	start(t)
	vmOnly(t)
	for name, k := range map[string]struct{ env, words []string }{
		"type":          {[]string{"RUNCVM_MACHINE_TYPE=pc"}, []string{`"q35"`, `"microvm"`}},
		"cpu":           {[]string{"RUNCVM_MACHINE_CPU_MODEL=Nehalen"}, []string{"Unknown processor", `Did you mean`, `Nehalem`}},
		"feature":       {[]string{"RUNCVM_MACHINE_CPU_FEATURES=+avx3"}, []string{"Unknown processor feature"}},
		"EFI microvm":   {[]string{"RUNCVM_MACHINE_TYPE=microvm", "RUNCVM_BIOS=EFI"}, []string{"Firmware not for this machine", "seabios", "qboot"}},
		"growing":       {[]string{"RUNCVM_MACHINE_TYPE=microvm", "RUNCVM_MACHINE_MAX_MEMORY=2G"}, []string{"Memory that cannot grow", "q35"}},
		"less than now": {[]string{"RUNCVM_MACHINE_MAX_MEMORY=64M"}, []string{"Impossible memory"}},
		"firmware":      {[]string{"RUNCVM_BIOS=none"}, []string{"seabios", "qboot", "efi"}},
		"prealloc":      {[]string{"RUNCVM_QEMU_MEM_PREALLOC=maybe"}, []string{"machine.prealloc"}},
	} {
		t.Run(name, func(t *testing.T) {
			var options []string
			for _, e := range k.env {
				options = append(options, "--env", e)
			}
			oneError(t, run(t, append(options, image, "true")...), k.words...)
		})
	}
}
