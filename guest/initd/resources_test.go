package initd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAwaitCPUs sets vCPUs to work and to rest, waits for those that come late, and
// says how many are missing.
func TestAwaitCPUs(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// await plays the kernel: the list follows when the file has the state.
	await := func(n int, file, state, list string) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- awaitCPUs(folder, n, time.Minute) }()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if now, err := os.ReadFile(filepath.Join(folder, file)); err == nil && string(now) == state {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s does not become %q", file, state)
			}
		}
		write("online", list)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	write("cpu1/online", "1\n")
	write("cpufreq/x", "")
	write("online", "0-1\n")
	if err := awaitCPUs(folder, 2, 0); err != nil {
		t.Fatal(err)
	}
	if err := awaitCPUs(folder, 3, 0); err == nil || !strings.Contains(err.Error(), "2 vCPUs work in the guest, not 3") {
		t.Errorf("of three: %v", err)
	}
	write("cpu2/online", "0\n")
	await(3, "cpu2/online", "1", "0-2\n")
	await(1, "cpu1/online", "0", "0\n")
	if state, err := os.ReadFile(filepath.Join(folder, "cpu2/online")); err != nil || string(state) != "0" {
		t.Errorf("the third one: %q, %v", state, err)
	}
	if n := countCPUs("0-2,5\n"); n != 4 {
		t.Errorf("0-2,5 are %d", n)
	}
}

func TestCanSpare(t *testing.T) {
	const meminfo = "MemTotal:         496000 kB\nMemAvailable:     102400 kB\n"
	for taken, want := range map[int]string{0: "", -5: "", 68: "", 69: "it can spare 68 MiB", 500: "has 100 MiB"} {
		err := canSpare(meminfo, taken)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d MiB: %v, want %q", taken, err, want)
		}
	}
	if canSpare("MemTotal: 5 kB\n", 1) == nil {
		t.Error("of an unknown amount, something is spared")
	}
}
