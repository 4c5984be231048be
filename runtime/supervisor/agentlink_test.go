package supervisor

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
)

// TestAgentLink opens the transports of plans where the vsock device has not
// come along.
func TestAgentLink(t *testing.T) {
	for name, test := range map[string]struct {
		agent plan.Agent
		args  []string
		log   string
		fails string
	}{
		"virtio-serial": {agent: plan.Agent{Transport: plan.TransportSerial}},
		"vsock or else": {
			agent: plan.Agent{Transport: plan.TransportVsock, Fallback: plan.TransportSerial},
			args:  qemu.AgentPort(qemu.PCI, plan.FDAgent),
			log:   `transport=virtio-serial instead_of=vsock error="descriptor `,
		},
		"vsock alone": {
			agent: plan.Agent{Transport: plan.TransportVsock},
			fails: `the vsock device did not reach the container: descriptor `,
		},
	} {
		t.Run(name, func(t *testing.T) {
			null, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer null.Close()
			var log bytes.Buffer
			s := &Supervisor{plan: &plan.Plan{Agent: test.agent}, log: slog.New(slog.NewTextHandler(&log, nil))}
			link, err := s.openAgentLink(int(null.Fd()))
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("error %v, want %q", err, test.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer link.file.Close()
			if diff := cmp.Diff(test.args, link.qemuArgs); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			if !strings.Contains(log.String(), test.log) {
				t.Errorf("the log has %q, want %q", log.String(), test.log)
			}
			conn, err := link.connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		})
	}
}
