package install

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runcvm/runcvm/engine/plan"
)

func TestProcessors(t *testing.T) {
	features := parseFeatures("Available CPUs:\nx86 486  (alias)\n\nRecognized CPUID flags:\n  avx2 aes\n  3dnow avx512f\n")
	if diff := cmp.Diff([]string{"3dnow", "aes", "avx2", "avx512f"}, features); diff != "" {
		t.Error(diff)
	}
	const answers = `{"QMP": {"version": {}}} {"return": {}}
		{"id": "models", "return": [{"name": "qemu64", "unavailable-features": []}, {"name": "host", "unavailable-features": ["kvm"]}, {"name": "EPYC", "unavailable-features": ["fxsr-opt", "fxsr-opt", "avx512f"]}]}
		{"id": "max", "return": {"model": {"name": "max", "props": {"avx2": true, "aes": true, "avx512f": false, "3dnow": true, "migratable": true, "family": 15}}}}
		{"event": "SHUTDOWN"} {"return": {}}`
	models, tcg, err := parseProcessors([]byte(answers), features)
	if err != nil {
		t.Fatal(err)
	}
	want := []plan.CPUModel{{Name: "EPYC", TCGLacks: []string{"avx512f", "fxsr-opt"}}, {Name: "host"}, {Name: "qemu64"}}
	if diff := cmp.Diff(want, models); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"3dnow", "aes", "avx2"}, tcg); diff != "" {
		t.Error(diff)
	}
	for name, bad := range map[string]string{
		"nothing": "", "an error": `{"error": {"desc": "no"}}`, "no JSON": "{", "no models": `{"id": "max", "return": {"model": {"props": {"aes": true}}}}`,
	} {
		if _, _, err := parseProcessors([]byte(bad), features); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
