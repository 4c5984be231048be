// Package patches holds the patches that come with the program: what differs
// between accelerators, versions of QEMU and implementations of virtiofsd, as
// data. README.md says how they work.
package patches

import "embed"

// FS has the patches as *.hcl.
//
//go:embed *.hcl
var FS embed.FS
