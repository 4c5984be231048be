package initd

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// How fast a guest comes to know files at most, in files per second, and how
// often they are counted because of that.
const (
	knownFilesRate   = 20_000
	countOftenEvery  = 100 * time.Millisecond
	countSeldomEvery = 10 * time.Second
)

// forgetFiles has the kernel forget the files of the share that nothing uses when
// it knows more than limit: a virtiofsd has a descriptor open for each.
func forgetFiles(limit uint64) {
	for next := limit; ; {
		known, err := knownFiles()
		if err != nil {
			return // a kernel without the table, or without FUSE: virtiofsd's limit holds
		}
		if known >= next {
			// 2: names and inodes, not the content of files (Documentation/admin-guide/sysctl/vm.rst).
			if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("2"), 0); err != nil {
				return
			}
			if known, err = knownFiles(); err != nil {
				return
			}
			// Those that stay are in use.
			next = max(limit, known+limit/8)
		}
		time.Sleep(untilKnown(known, next, limit))
	}
}

// untilKnown is how long a guest that knows so many files takes, at the least,
// until it knows the others. Where the limit is so low that more than a quarter of
// it could come to be known meanwhile, it is counted more often.
func untilKnown(known, others, limit uint64) time.Duration {
	least := min(countOftenEvery, timeFor(limit/4))
	if known >= others {
		return least
	}
	return max(least, timeFor(others-known))
}

// timeFor is how long a guest takes, at the least, to know so many more files; no
// longer than it may be until they are counted.
func timeFor(files uint64) time.Duration {
	files = min(files, uint64(countSeldomEvery/time.Second)*knownFilesRate)
	return time.Duration(files) * time.Second / knownFilesRate //nolint:gosec // bounded above
}

// knownFiles counts the inodes of FUSE in the kernel's memory, by its table of
// slabs (slabinfo(5)).
func knownFiles() (uint64, error) {
	table, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		return 0, err
	}
	return parseKnownFiles(table)
}

func parseKnownFiles(table []byte) (uint64, error) {
	const name = "\nfuse_inode "
	_, rest, found := bytes.Cut(table, []byte(name))
	if !found {
		return 0, fmt.Errorf("no line %q in the table of slabs", name)
	}
	var active uint64
	_, err := fmt.Sscan(string(rest[:min(len(rest), 40)]), &active)
	return active, err
}
