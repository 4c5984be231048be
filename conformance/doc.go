// Package conformance holds the black-box suites: they drive the installed
// runcvm through a real Docker engine and through its command line, and import
// no other package of this module than their own harness.
//
// The same cases run against any OCI runtime. RUNCVM_CONFORMANCE_RUNTIME=runc
// runs them on runc, which shows that a case asks for what a container does
// and not for what we happen to do; those that only make sense for a virtual
// machine are then skipped.
//
// Every variable that the suites read:
//
//	RUNCVM_REQUIRE              capabilities that must be there: root,docker,qemu,install,rootfs or all;
//	                            without it the suites are skipped
//	RUNCVM_PREFIX               the installation under test, /opt/runcvm when unset
//	RUNCVM_ROOTFS               tar archive of a Debian root, /var/cache/runcvm/rootfs/bookworm.tar when unset
//	RUNCVM_CONFORMANCE_RUNTIME  runcvm (the default) or runc
//	RUNCVM_CONFORMANCE_SCRATCH  folder for the engine's files, /var/tmp when unset; no tmpfs, no overlay
//	SOAK_RUNS, SOAK_PARALLEL    size of TestSoak: 20 and 4 when unset
package conformance
