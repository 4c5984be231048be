package diff

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runcvm/runcvm/engine/plan"
)

// TestDisks wants a disk's changes blamed on the profile, and where its file
// lies on the container's volumes.
func TestDisks(t *testing.T) {
	base := func() *plan.Plan {
		return &plan.Plan{
			Origins: map[string]plan.Origin{"disk.b.target": {Kind: "file", Where: "a.hcl:1:1", Value: `"/b"`}},
			Disks:   []plan.Disk{{Name: "b", Root: "/vm/volumes/0", Path: "/disk", Target: "/b", FS: "ext4"}},
			Guest:   plan.Guest{Mounts: []plan.GuestMount{{Type: "ext4", Source: "disk:b", Destination: "/b"}}},
			Processes: map[string]plan.Process{"qemu": {Argv: []string{
				"qemu", "-add-fd", "fd=8,set=0", "-blockdev", `{"driver":"raw","node-name":"disk-b"}`,
			}}},
		}
	}
	tests := map[string]struct {
		edit func(*plan.Plan)
		want []string
	}{
		"another target": {
			func(p *plan.Plan) {
				p.Origins["disk.b.target"] = plan.Origin{Kind: "file", Where: "a.hcl:1:1", Value: `"/c"`}
				p.Disks[0].Target, p.Guest.Mounts[0].Destination = "/c", "/c"
			},
			[]string{
				"disk.b.target restart a.hcl:1:1",
				"guest.mounts[disk:b].destination restart follows from disk.b.target",
				"disks[b].target restart follows from disk.b.target",
			},
		},
		"one before it": {
			func(p *plan.Plan) {
				p.Origins["disk.a.target"] = plan.Origin{Kind: "file", Where: "a.hcl:2:1", Value: `"/a"`}
				p.Disks = slices.Insert(p.Disks, 0, plan.Disk{Name: "a", Path: "/disk"})
				p.Processes["qemu"] = plan.Process{Argv: []string{
					"qemu", "-add-fd", "fd=8,set=0", "-blockdev", `{"driver":"raw","node-name":"disk-a"}`,
					"-add-fd", "fd=9,set=1", "-blockdev", `{"driver":"raw","node-name":"disk-b"}`,
				}}
			},
			[]string{
				"disk.a.target restart a.hcl:2:1",
				"disks[a] restart follows from disk.a.target",
				"processes.qemu.argv[-add-fd set=1] restart follows from disk.a.target",
				"processes.qemu.argv[-blockdev disk-a] restart follows from disk.a.target",
			},
		},
		"another volume": {
			func(p *plan.Plan) {
				p.OCI.Mounts = append(p.OCI.Mounts, specs.Mount{Destination: "/vm/volumes/0"})
				p.Disks[0].Root = "/vm/volumes/1"
			},
			[]string{
				"oci.mounts[/vm/volumes/0] recreate docker's --volume, --mount or --tmpfs",
				"disks[b].root recreate follows from oci.mounts[/vm/volumes/0]",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			after := base()
			test.edit(after)
			changes, err := Diff(base(), after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range changes {
				got = append(got, c.Path+" "+string(c.Class)+" "+c.Cause)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
