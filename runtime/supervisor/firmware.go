package supervisor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/runtime/vmm"
)

// openFirmware gives EFI the machine's own copy of its variables, and logs what
// the firmware writes where the plan says so. The file is QEMU's end, nil
// without one.
func (s *Supervisor) openFirmware() (*os.File, error) {
	if s.plan.Firmware.Type == "efi" {
		if err := copyVariables(plan.EFIVars, filepath.Join(s.dir, plan.EFIVarsState)); err != nil {
			return nil, fmt.Errorf("give the EFI firmware its variables: %w", err)
		}
	}
	if !s.plan.Firmware.Debug {
		return nil, nil
	}
	conn, file, err := vmm.SocketPair("firmware")
	if err != nil {
		return nil, err
	}
	go func() {
		output := &logWriter{log: s.log, name: "firmware"}
		_, _ = io.Copy(output, conn)
		output.flush()
	}()
	return file, nil
}

// copyVariables copies the variables as they begin; those of an earlier start
// of the machine stay.
func copyVariables(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
