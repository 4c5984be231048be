package initd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/runcvm/runcvm/guest/api"
)

// serveResources makes use of what the VM has got, and says how that went.
func (b *boot) serveResources(stream *yamux.Stream) {
	defer stream.Close()
	var r api.Resources
	if err := api.Read(stream, &r); err != nil {
		return
	}
	tellOutcome(stream, b.setResources(&r))
}

func (b *boot) setResources(r *api.Resources) error {
	if r.CPUs > 0 {
		if err := awaitCPUs(cpuFolder, r.CPUs, cpuWait); err != nil {
			return err
		}
	}
	if r.Memory != nil {
		if err := readyMemory(); err != nil {
			return err
		}
		meminfo, err := os.ReadFile("/proc/meminfo")
		if err != nil {
			return err
		}
		if err := canSpare(string(meminfo), r.Memory.TakenMiB); err != nil {
			return err
		}
	}
	if r.PidsLimit != nil {
		return b.agent.LimitPids(*r.PidsLimit)
	}
	return nil
}

const (
	// cpuFolder has a folder for each vCPU that the kernel knows.
	cpuFolder = "/sys/devices/system/cpu"
	// cpuWait is how long the kernel may take to find new vCPUs, and cpuPoll how
	// often it is looked.
	cpuWait = time.Minute
	cpuPoll = 10 * time.Millisecond
)

// awaitCPUs sets vCPUs to work that the kernel finds, or to rest, until n of them
// work: the first ones.
func awaitCPUs(folder string, n int, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(cpuPoll) {
		list, err := os.ReadFile(filepath.Join(folder, "online"))
		if err != nil {
			return err
		}
		work := countCPUs(string(list))
		if work == n {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d vCPUs work in the guest, not %d: its kernel needs CONFIG_HOTPLUG_CPU, and CONFIG_ACPI_HOTPLUG_CPU to find new ones", work, n)
		}
		// The first one always works.
		for i := 1; i < maxCPUs; i++ {
			if err := setWork(filepath.Join(folder, "cpu"+strconv.Itoa(i), "online"), i < n); err != nil {
				return err
			}
		}
	}
}

// maxCPUs is more than any machine has.
const maxCPUs = 256

// setWork sets a vCPU to work or to rest. One that is not there yet is left out.
func setWork(file string, work bool) error {
	state, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	wanted := map[bool]string{true: "1", false: "0"}[work]
	if err == nil && strings.TrimSpace(string(state)) != wanted {
		err = os.WriteFile(file, []byte(wanted), 0)
	}
	if err != nil {
		return fmt.Errorf("set a vCPU to work or to rest: %w", err)
	}
	return nil
}

// countCPUs counts the CPUs of a list as the kernel writes it: "0-2,5".
func countCPUs(list string) int {
	n := 0
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if errA == nil && errB == nil {
			n += b - a + 1
		}
	}
	return n
}

// memoryModules drive the devices by which the VM's memory changes.
const memoryModules = "load.memory"

// readyMemory loads the drivers and has the kernel use memory as soon as it gets
// it: movable, so that it can be taken away again, as far as there is enough of
// the other kind.
func readyMemory() error {
	for _, setting := range []struct{ file, value string }{
		{"/sys/module/memory_hotplug/parameters/online_policy", "auto-movable"},
		{"/sys/devices/system/memory/auto_online_blocks", "online"},
	} {
		// A kernel without these files has no memory that comes later.
		if err := os.WriteFile(setting.file, []byte(setting.value), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("have the kernel use new memory: %w", err)
		}
	}
	return loadModules(modulesDir, memoryModules)
}

// spareMiB stays available in a guest that memory is taken from: with less, its
// kernel would end processes.
const spareMiB = 32

// canSpare says whether the guest can do without so much memory, by its
// /proc/meminfo.
func canSpare(meminfo string, taken int) error {
	if taken <= 0 {
		return nil
	}
	for line := range strings.Lines(meminfo) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemAvailable:" {
			continue
		}
		kib, err := strconv.Atoi(fields[1])
		if err != nil {
			return fmt.Errorf("/proc/meminfo: %w", err)
		}
		if available := kib / 1024; available-spareMiB < taken {
			return fmt.Errorf("the guest has %d MiB of memory available, of which it can spare %d MiB, and the update takes %d MiB", available, max(0, available-spareMiB), taken)
		}
		return nil
	}
	return errors.New("the guest's kernel does not tell how much memory is available")
}
