package engine_test

import (
	"strings"
	"testing"

	"github.com/runcvm/runcvm/engine"
)

// TestDiskSizeIsWhole wants sizes that a disk can have: one that ends within a
// sector would be made, and refused at the next start.
func TestDiskSizeIsWhole(t *testing.T) {
	for size, want := range map[string]int64{
		`"1M"`:                  1 << 20,
		`"1048577B"`:            1<<20 + 4096,
		`"16T"`:                 16 << 40,
		`size(bytes("1G") / 3)`: 357916672, // 357913941 B
	} {
		spec, facts := dockerSpec(t), hostFacts(t)
		profile := resolve(t, "profile \"default\" {\n disk \"data\" {\n source = \"/data.img\"\n target = \"/data\"\n size = "+size+"\n }\n}\n", spec, facts)
		p, diags := engine.Compile(profile, spec, facts)
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		if got := p.Disks[0].SizeBytes; got != want {
			t.Errorf("%s: %d bytes, want %d", size, got, want)
		}
	}
}

// TestHostileDisks wants a disk's paths in the plan's own fields, and in no
// program's arguments.
func TestHostileDisks(t *testing.T) {
	for _, value := range hostile {
		spec, facts := dockerSpec(t), hostFacts(t)
		spec.Root.Readonly = false
		facts.Image.Labels = map[string]string{"x": value}
		profile := resolve(t, "profile \"default\" {\n disk \"data\" {\n source = \"/s/a${image.labels[\"x\"]}/b\"\n target = \"/t/a${image.labels[\"x\"]}/b\"\n }\n}\n", spec, facts)
		p, diags := engine.Compile(profile, spec, facts)
		if strings.Contains(value, "\x00") || strings.Contains(value, "/..") {
			if diags.Err() == nil {
				t.Errorf("%q is a part of a path", value)
			}
			continue
		}
		if err := diags.Err(); err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		for name, process := range p.Processes {
			for _, argument := range process.Argv {
				if strings.Contains(argument, "/s/") || strings.Contains(argument, "/t/") {
					t.Errorf("%q reaches %s as %q", value, name, argument)
				}
			}
		}
		for _, path := range []string{p.Disks[0].Path, p.Disks[0].Target} {
			if strings.Contains(path+"/", "/../") {
				t.Errorf("%q makes the path %q", value, path)
			}
		}
	}
}
