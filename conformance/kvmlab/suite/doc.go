// Package suite tests the installed product on KVM, from outside. Command
// kvmlab runs it, on a host whose KVM works or in the lab; without the
// variables that kvmlab sets, its tests are skipped.
package suite
