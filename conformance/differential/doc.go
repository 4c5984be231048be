// Package differential compares a runtime with runc: the same commands of a
// container engine under both, and what each of them showed. The cases are data,
// one YAML file each in cases/; docs/conformance.md is written from them.
package differential
