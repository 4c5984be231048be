package api

import (
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

// streamWindow is how many bytes a stream may have on the way.
const streamWindow = 1 << 20

// SessionConfig is both ends' configuration of the yamux session. Nothing in it
// ends by time: a paused VM answers nothing for as long as it is paused.
func SessionConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive = false
	c.ConnectionWriteTimeout = 10 * 365 * 24 * time.Hour // 0 is refused
	c.StreamOpenTimeout = 0
	c.StreamCloseTimeout = 0
	c.MaxStreamWindowSize = streamWindow
	c.LogOutput = io.Discard
	return c
}
