package facts

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/runcvm/runcvm/engine/plan"
)

const networkFile = "network.json"

// network is what was found out about the network modes.
type network struct {
	For    identity    `json:"for"`
	TC     plan.Usable `json:"tc"`
	Bridge plan.Usable `json:"bridge"`
}

// probeNetwork finds out which network modes work here. That all of them do is
// kept in cacheDir until the host reboots; what is missing may be loaded at any
// time. The cache is an optimisation: where it cannot be used, that is logged.
func probeNetwork(cacheDir string, try func() (tc, bridge plan.Usable)) (tc, bridge plan.Usable) {
	key, err := identifyBoot()
	if err != nil || cacheDir == "" {
		return try()
	}
	file := filepath.Join(cacheDir, networkFile)
	var kept network
	if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &kept) == nil && kept.For == key {
		return kept.TC, kept.Bridge
	}
	n := network{For: key}
	n.TC, n.Bridge = try()
	if !n.TC.Usable || !n.Bridge.Usable || os.Geteuid() != 0 {
		return n.TC, n.Bridge
	}
	data, err := json.MarshalIndent(n, "", "  ")
	if err == nil {
		err = os.MkdirAll(cacheDir, 0o755)
	}
	if err == nil {
		err = renameio.WriteFile(file, append(data, '\n'), 0o644)
	}
	if err != nil {
		slog.Warn("what the network modes need is tried anew each time", "error", err)
	}
	return n.TC, n.Bridge
}
