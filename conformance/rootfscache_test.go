package conformance

import (
	"fmt"
	"strconv"
	"testing"
)

// bytesRead is what a process has read so far.
func bytesRead(t *testing.T, pid int) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(content(t, fmt.Sprintf("/proc/%d/io", pid)), "rchar: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRootfsCache sees what the guest keeps of the image's files: from one
// opening to the next with "always" alone, and enough to map a file that others
// write, too, but with "none".
func TestRootfsCache(t *testing.T) {
	for mode, wanted := range map[string]struct{ readsAgain, maps bool }{
		"always": {false, true}, "auto": {true, true}, "none": {true, false},
	} {
		t.Run(mode, func(t *testing.T) {
			start(t)
			vmOnly(t)
			c := background(t, "--env", "RUNCVM_VIRTIOFSD_CACHE="+mode, probeImage, "sh", "-c",
				"head -c 16M /dev/zero > /big; cat /big > /dev/null; echo ready; exec sleep infinity")
			c.logged("ready")
			init, err := strconv.Atoi(c.inspect("{{.State.Pid}}"))
			if err != nil {
				t.Fatal(err)
			}
			daemon, ok := descendant(init, "virtiofsd")
			if !ok {
				t.Fatalf("no virtiofsd below %d", init)
			}
			before := bytesRead(t, daemon)
			must(t, c.exec("sh", "-c", "cat /big > /dev/null"))
			if read := bytesRead(t, daemon) - before; (read > 8<<20) != wanted.readsAgain {
				t.Errorf("the second time, virtiofsd read %d bytes", read)
			}
			if r := c.exec("probe", "map", "/var/f", "1"); (r.Code == 0) != wanted.maps {
				t.Errorf("map a file: %+v", r)
			}
		})
	}
}
