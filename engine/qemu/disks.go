package qemu

import (
	"strconv"
)

// Disk is a virtio-blk disk in a file or a block device that QEMU inherits open.
type Disk struct {
	Bus Bus
	// Name is the disk's serial number, by which the guest finds it: at most 20
	// bytes.
	Name string
	FD   int    // the open file
	Set  int    // the number of its descriptor set, one for each disk
	AIO  string // "threads" or "native"
	// Cache is a cache mode as QEMU's -drive has them: "writeback", "none",
	// "writethrough", "directsync" or "unsafe".
	Cache   string
	Discard string // "unmap" or "ignore"
	Queues  int    // virtqueues
	// Device says that it is a block device of the host.
	Device bool
	// ReadOnly says that the descriptor, and so the disk, is for reading alone.
	ReadOnly bool
	// IOThread gives the disk's I/O a thread of its own.
	IOThread bool
}

// blockdevRaw is a -blockdev: the raw content of a file.
type blockdevRaw struct {
	Driver   string       `json:"driver"` // "raw"
	NodeName string       `json:"node-name"`
	Discard  string       `json:"discard"`
	ReadOnly bool         `json:"read-only,omitempty"`
	Cache    blockCache   `json:"cache"`
	File     blockdevFile `json:"file"`
}

type blockdevFile struct {
	Driver   string     `json:"driver"` // "file" or "host_device"
	Filename string     `json:"filename"`
	AIO      string     `json:"aio"`
	Discard  string     `json:"discard"`
	ReadOnly bool       `json:"read-only,omitempty"`
	Cache    blockCache `json:"cache"`
	Locking  string     `json:"locking"`
}

// BlockdevFile is a -blockdev: a file that QEMU opens itself, with its content as
// it is.
type BlockdevFile struct {
	NodeName string
	Filename string
	ReadOnly bool
}

// File adds a file.
func (c *CommandLine) File(f BlockdevFile) {
	c.encoded("blockdev", struct {
		Driver   string `json:"driver"`
		NodeName string `json:"node-name"`
		Filename string `json:"filename"`
		ReadOnly bool   `json:"read-only"`
	}{"file", f.NodeName, f.Filename, f.ReadOnly})
}

type blockCache struct {
	Direct  bool `json:"direct"`   // O_DIRECT
	NoFlush bool `json:"no-flush"` // the guest's flushes are ignored
}

// VirtioBlk is a disk.
type VirtioBlk struct {
	Bus        Bus    `json:"-"`
	ID         string `json:"id"`
	Drive      string `json:"drive"`
	Serial     string `json:"serial"`
	NumQueues  int    `json:"num-queues"`
	QueueSize  int    `json:"queue-size"`
	IOThread   string `json:"iothread,omitempty"`
	WriteCache string `json:"write-cache"` // "on" or "off"
}

func (d VirtioBlk) driver() string { return d.Bus.driver("virtio-blk") }

// IOThread does the I/O of devices outside of QEMU's main loop.
type IOThread struct {
	ID string `json:"id"`
}

func (IOThread) qomType() string { return "iothread" }

// Disk adds a disk.
func (c *CommandLine) Disk(d Disk) {
	id := "disk-" + d.Name
	cache := blockCache{Direct: d.Cache == "none" || d.Cache == "directsync", NoFlush: d.Cache == "unsafe"}
	writeCache := "on"
	if d.Cache == "writethrough" || d.Cache == "directsync" {
		writeCache = "off"
	}
	driver := "file"
	if d.Device {
		driver = "host_device"
	}
	c.Properties("add-fd", "", Number("fd", d.FD), Number("set", d.Set))
	c.encoded("blockdev", blockdevRaw{
		Driver: "raw", NodeName: id, Discard: d.Discard, ReadOnly: d.ReadOnly, Cache: cache,
		File: blockdevFile{
			Driver: driver, Filename: "/dev/fdset/" + strconv.Itoa(d.Set), AIO: d.AIO, Discard: d.Discard, ReadOnly: d.ReadOnly, Cache: cache,
			// The supervisor has locked it for as long as QEMU runs.
			Locking: "off",
		},
	})
	thread := ""
	if d.IOThread {
		thread = "io-" + d.Name
		c.Object(IOThread{ID: thread})
	}
	c.Device(VirtioBlk{
		Bus: d.Bus, ID: "blk-" + d.Name, Drive: id, Serial: d.Name, NumQueues: d.Queues, QueueSize: 256,
		IOThread: thread, WriteCache: writeCache,
	})
}
