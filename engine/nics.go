package engine

import (
	"fmt"
	"slices"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/engine/qemu"
	"github.com/runcvm/runcvm/schema"
)

const virtioModel = "virtio"

// minMTU is the least that Linux takes for IPv4, in bytes.
const minMTU = 68

// maxAutoQueues bounds the queues that nobody asked for: each pair takes memory
// in the guest, descriptors, and with vhost-net a thread of the host.
const maxAutoQueues = 8

// setting is an attribute's value and where it came from.
type setting[T any] struct {
	value T
	from  *schema.Attribute
	own   bool // of the interface's own block
}

// pick returns the value of an interface's own attribute, else that of the
// network block.
func pick[T bool | int | string](c *compiler, name string, own, common schema.Key[T]) setting[T] {
	if name != "" {
		if a := own.Attribute.In(name); c.profile.Value(a) != nil {
			return setting[T]{own.In(c.profile, name), a, true}
		}
	}
	return setting[T]{common.Of(c.profile), common.Attribute, name == ""}
}

// nic decides the network device of the interface with that name, or without a
// name that of those without a block.
func (c *compiler) nic(name string) plan.NIC {
	what := "network device"
	if name != "" {
		what = fmt.Sprintf("network device of %s", name)
	}
	model := pick(c, name, schema.NICModel, schema.NetworkModel)
	nic := plan.NIC{
		Model:  model.value,
		MTU:    c.mtu(what, model.value, pick(c, name, schema.NICMTU, schema.NetworkMTU)),
		Queues: c.queues(what, model.value, pick(c, name, schema.NICQueues, schema.NetworkQueues)),
		VHost:  c.vhost(what, model.value, pick(c, name, schema.NICVHost, schema.NetworkVHost)),
	}
	if c.plan.Machine.Bus == busMMIO && model.value != virtioModel {
		c.diags.Errorf("Network device not for this machine",
			"The %s is to be the model %q, which needs a PCI bus, and machine.type is \"microvm\". Use \"virtio\", or machine.type = \"q35\".%s", what, model.value, c.blame(model.from))
		return nic
	}
	if k := c.plan.Kernel; model.value != virtioModel && k.Version != "" && !slices.Contains(c.kernelCan.NICs, model.value) {
		c.diags.Errorf("No driver for the network device",
			"The %s is to be the model %q, and the kernel %s has no driver for it. It drives %s. Debian's generic kernel drives all of them (kernel.version).%s",
			what, model.value, k.Version, list(append([]string{virtioModel}, c.kernelCan.NICs...)), c.blame(model.from))
	}
	return nic
}

// mtu checks an MTU, in bytes; 0 stays the interface's own, of which only the
// supervisor knows.
func (c *compiler) mtu(what, model string, mtu setting[int]) int {
	fits := func(model string) bool {
		return mtu.value == 0 || mtu.value >= minMTU && mtu.value <= qemu.MaxMTU(model)
	}
	// What does not fit the network block's own model either has been reported.
	if !fits(model) && (mtu.own || fits(schema.NetworkModel.Of(c.profile))) {
		c.diags.Errorf("Impossible MTU", "The %s is to have the MTU %d; the model %q takes %d to %d.%s", what, mtu.value, model, minMTU, qemu.MaxMTU(model), c.blame(mtu.from))
	}
	return mtu.value
}

// queues decides the pairs of queues. A guest uses at most one for each vCPU.
func (c *compiler) queues(what, model string, asked setting[int]) int {
	cpus := c.plan.Machine.CPUs
	switch {
	case model != virtioModel:
		if asked.own && asked.value > 1 {
			c.diags.Errorf("Several queues not possible", "The %s is to have %d pairs of queues, and only the model %q has more than one.%s", what, asked.value, virtioModel, c.blame(asked.from))
		}
		return 1
	case asked.value == 0:
		return max(1, c.profile.Most(schema.NetworkQueues.Attribute, min(cpus, maxAutoQueues)))
	case asked.own && asked.value > cpus:
		c.warn("More queues than vCPUs", "%s is %d, and a guest uses at most one pair of queues for each vCPU: the %s has %d.%s", asked.from.Path(), asked.value, what, cpus, c.blame(asked.from))
	}
	return min(asked.value, cpus)
}

// vhost decides who moves the frames between tap and guest.
func (c *compiler) vhost(what, model string, asked setting[string]) bool {
	device := c.facts.VHostNet
	if asked.value == "on" && asked.own {
		switch {
		case model != virtioModel:
			c.diags.Errorf("No vhost-net for this device", "The %s is to have vhost = \"on\", which serves the model %q alone, and its model is %q. Use \"auto\" or \"off\".%s", what, virtioModel, model, c.blame(asked.from))
		case !device.Usable:
			c.diags.Errorf("vhost-net is not usable",
				"%s is \"on\", but on this host: %s Use \"auto\" or \"off\" to let QEMU move the frames.%s", asked.from.Path(), device.Reason, c.blame(asked.from))
		}
	}
	return asked.value != "off" && model == virtioModel && device.Usable
}

// list is a list of words in double quotes.
func list(words []string) string {
	text := ""
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			text += " and "
		default:
			text += ", "
		}
		text += fmt.Sprintf("%q", w)
	}
	return text
}
