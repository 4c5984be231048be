// Package suite pins what the OCI runtime-tools' validation suite is built from:
// its last release and the releases of others that it builds with. Nothing of it
// is changed. It is a module of its own, since RunCVM itself uses newer ones.
package suite

import _ "github.com/opencontainers/runtime-tools/validation/util" // what each program of the suite needs
