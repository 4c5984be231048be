package facts

import "testing"

func TestX(t *testing.T) {
	for range 3 {
		t.Logf("%+v", Probe(""))
	}
}
