package suite

import "testing"

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
	b.decode(&facts, "facts", "--bundle", b.dir)
	t.Log(facts.KVM.Reason)
	equal(t, "usable", facts.KVM.Usable, want == "kvm")
	var plan struct {
		Machine struct {
			Accel  string
			Reason string `json:"accel_reason"`
		}
	}
	b.decode(&plan, "plan", "--format", "json", "--bundle", b.dir)
	equal(t, "accel", plan.Machine.Accel, want)
	if plan.Machine.Reason == "" {
		t.Error("the plan gives no reason")
	}
}
