package schema

import (
	"fmt"
	"strings"

	"github.com/runcvm/runcvm/internal/diag"
)

// VariableDisks describes disks in one variable: SOURCE,TARGET,FS[,SIZE], several
// of them separated by semicolons. They become the blocks disk "disk1", "disk2"
// and so on.
const VariableDisks = VariablePrefix + "DISKS"

const disksForm = VariableDisks + "=/disks/data,/var/lib/data,ext4,5G"

func readDisks(text string) ([]Setting, *diag.Diagnostic) {
	var settings []Setting
	wrong := func(n int, format string, args ...any) *diag.Diagnostic {
		return variableError(VariableDisks, "Invalid disk", fmt.Sprintf("Disk %d of %s ", n, VariableDisks)+fmt.Sprintf(format, args...)+
			fmt.Sprintf(" A disk is SOURCE,TARGET,FS and, for one that has to be made, SIZE: %s. A semicolon stands between disks.", disksForm))
	}
	n := 0
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue // the last semicolon, or an empty line of a YAML list
		}
		n++
		fields := strings.Split(part, ",")
		if len(fields) < 3 || len(fields) > 4 {
			return nil, wrong(n, "has %d parts, %q.", len(fields), part)
		}
		for i, row := range []*Attribute{DiskSource.Attribute, DiskTarget.Attribute, DiskFS.Attribute, DiskSize.Attribute}[:len(fields)] {
			s, mistake := row.In(fmt.Sprintf("disk%d", n)).readText(VariableDisks, strings.TrimSpace(fields[i]))
			if mistake != nil {
				return nil, wrong(n, "is wrong. %s", mistake.Detail)
			}
			settings = append(settings, s)
		}
	}
	return settings, nil
}
