// Package validation runs the validation suite of the OCI runtime-tools under
// two runtimes and compares what they answer. The suite is built, unchanged, from
// the module in the folder suite.
package validation
