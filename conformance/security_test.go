package conformance

import (
	"testing"

	"github.com/runcvm/runcvm/conformance/harness"
)

// TestSysAdmin sets an extended attribute of the image's file, by system call 188,
// setxattr(2), that virtiofsd may only with CAP_SYS_ADMIN.
func TestSysAdmin(t *testing.T) {
	start(t)
	vmOnly(t)
	script := []string{"perl", "-e", `my ($file, $name, $value) = ("/etc/mine", "trusted.conformance", "1");
		print syscall(188, $file, $name, $value, 1, 0) == 0 ? "set\n" : "$!\n"`}
	entry := "touch /etc/mine; exec \"$@\""
	for option, printed := range map[string]string{"0": "Operation not permitted\n", "1": "set\n"} {
		args := append([]string{"--privileged", "--env", "RUNCVM_SYS_ADMIN=" + option, image, "sh", "-c", entry, "sh"}, script...)
		want(t, run(t, args...), harness.Result{Stdout: printed})
	}
}
