package api

// Bounds of what Processes tells: a container may have millions of processes, with
// command lines of megabytes.
const (
	MaxProcesses = 10_000 // of the list
	MaxCommand   = 4096   // bytes of a ProcessStat's command
)

// Processes are the container's processes at one moment, by their numbers.
type Processes struct {
	List []ProcessStat `json:"list"`
	More int           `json:"more,omitempty"` // how many others there are
	// Error is why they cannot be told.
	Error string `json:"error,omitempty"`
}

// ProcessStat is a process as the container sees it.
type ProcessStat struct {
	PID      int    `json:"pid"`
	Parent   int    `json:"ppid"`  // 0 for one outside the container
	UID      uint32 `json:"uid"`   // the effective one
	State    string `json:"state"` // one letter, as in proc(5)
	Threads  int    `json:"threads"`
	CPUNanos int64  `json:"cpu_nanos"` // processor time, in user and in kernel mode
	RSSBytes int64  `json:"rss_bytes"` // memory that is resident
	AgeNanos int64  `json:"age_nanos"` // time since it began
	// Command is the command line, with spaces between arguments; the name in
	// brackets for a process without one.
	Command string `json:"command"`
}
