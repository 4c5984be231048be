package install

import (
	"fmt"
	"io"
)

// printer writes one line for each step.
type printer struct{ w io.Writer }

func (p *printer) printf(format string, args ...any) {
	fmt.Fprintf(p.w, format+"\n", args...)
}
