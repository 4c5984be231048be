package net

import "fmt"

// portMask is a set of ports: those p with p&mask == value.
type portMask struct{ value, mask uint16 }

// portMasks covers the ports from first to last, both included, with the
// fewest masks. u32 compares masked words and has no ranges.
func portMasks(first, last uint16) ([]portMask, error) {
	if first == 0 || last < first {
		return nil, fmt.Errorf("the reserved port range %d-%d is empty or includes port 0", first, last)
	}
	var masks []portMask
	for port := uint32(first); port <= uint32(last); {
		size := port & -port // the largest aligned block that starts here
		for port+size-1 > uint32(last) {
			size /= 2
		}
		masks = append(masks, portMask{value: uint16(port), mask: uint16(-size)})
		port += size
	}
	return masks, nil
}
