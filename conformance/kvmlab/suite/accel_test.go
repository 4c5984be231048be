package suite

import (
	"encoding/json"
	"testing"
)

// TestVerdict runs in the lab and, on a host whose KVM is of no use, outside:
// the product has to see both for what they are.
func TestVerdict(t *testing.T) {
	want := accel(t)
	b := newBundle(t, "true")
	var facts struct {
		KVM struct {
			Usable bool
			Reason string
		}
	}
	if err := json.Unmarshal([]byte(b.must("facts", "--bundle", b.dir)), &facts); err != nil {
		t.Fatal(err)
	}
	t.Log(facts.KVM.Reason)
	equal(t, "usable", facts.KVM.Usable, want == "kvm")
	var plan struct {
		Machine struct {
			Accel  string
			Reason string `json:"accel_reason"`
		}
	}
	if err := json.Unmarshal([]byte(b.must("plan", "--format", "json", "--bundle", b.dir)), &plan); err != nil {
		t.Fatal(err)
	}
	equal(t, "accel", plan.Machine.Accel, want)
	if plan.Machine.Reason == "" {
		t.Error("the plan gives no reason")
	}
}
