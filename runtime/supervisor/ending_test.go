package supervisor

import (
	"encoding/json"
	"testing"

	"github.com/runcvm/runcvm/runtime/vmm"
)

func TestLastWords(t *testing.T) {
	for _, test := range []struct {
		console  string
		exit     initExit
		panicked bool
		halted   bool
	}{
		{"", initExit{}, false, false},
		{"[    5.1] reboot: Power down\r\n", initExit{}, false, false},
		{"[    5.1] reboot: System halted\r\n", initExit{}, false, true},
		{"[    5.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300\r\n", initExit{3, true}, true, false},
		{"[    5.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n", initExit{139, true}, true, false},
		{"[    5.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x000\n", initExit{}, true, false},
		{"[    5.1] Kernel panic - not syncing: VFS: Unable to mount root fs\n", initExit{}, true, false},
	} {
		var e ending
		e.init()
		for i := range test.console { // as a serial port has it
			_, _ = e.console.Write([]byte{test.console[i]})
		}
		exit, panicked := e.console.panicked()
		halted := false
		select {
		case <-e.console.halted:
			halted = true
		default:
		}
		if exit != test.exit || panicked != test.panicked || halted != test.halted {
			t.Errorf("%q: %+v, panicked %v, halted %v", test.console, exit, panicked, halted)
		}
	}
}

func TestNoticeOfShutdown(t *testing.T) {
	for _, test := range []struct{ name, data, want string }{
		{"SHUTDOWN", `{"guest": true, "reason": "guest-reset"}`, "guest-reset"},
		{"SHUTDOWN", `{"guest": false, "reason": "host-qmp-quit"}`, ""},
		{"RESET", `{"guest": true, "reason": "guest-reset"}`, ""},
		{"SHUTDOWN", `[]`, ""},
	} {
		var e ending
		e.init()
		e.notice(vmm.Event{Name: test.name, Data: json.RawMessage(test.data)})
		if e.reason != test.want {
			t.Errorf("%s %s: %q, want %q", test.name, test.data, e.reason, test.want)
		}
	}
}
