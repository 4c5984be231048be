package plan

import (
	"strings"
	"testing"
)

// TestTextHasTheDigest writes a plan as the compiler leaves it: Encode has not
// set the digest yet.
func TestTextHasTheDigest(t *testing.T) {
	p := &Plan{FormatVersion: FormatVersion, Machine: Machine{CPUs: 1}}
	var text strings.Builder
	if err := WriteText(&text, p); err != nil {
		t.Fatal(err)
	}
	if _, err := Encode(p); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), p.Digest) {
		t.Errorf("%s is not in:\n%s", p.Digest, text.String())
	}
}
