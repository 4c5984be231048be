package initd

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFindTransport(t *testing.T) {
	for name, test := range map[string]struct {
		devices []string // what their files "device" hold
		want    string
	}{
		"none":   {nil, serialTransport.modules},
		"serial": {[]string{"0x001a\n", "0x0003\n"}, serialTransport.modules},
		"vsock":  {[]string{"0x001a\n", "0x0013\n", "0x0001\n"}, vsockTransport.modules},
	} {
		t.Run(name, func(t *testing.T) {
			bus := t.TempDir()
			for i, id := range test.devices {
				dir := filepath.Join(bus, "virtio"+string(rune('0'+i)))
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "device"), []byte(id), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := findTransport(bus).modules; got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
	if got := findTransport(filepath.Join(t.TempDir(), "none")).modules; got != serialTransport.modules {
		t.Errorf("without a bus: %s", got)
	}
}
