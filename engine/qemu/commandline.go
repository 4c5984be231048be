// Package qemu writes QEMU's command line from typed values. Devices, objects
// and network back ends are written as JSON; the options that have no JSON form
// are escaped. No value can add an option or a property.
package qemu

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// CommandLine collects arguments. The zero value is empty.
type CommandLine struct {
	args []string
}

// Args returns the arguments without the program's name.
func (c *CommandLine) Args() []string { return c.args }

// Append adds the arguments of another command line.
func (c *CommandLine) Append(args []string) { c.args = append(c.args, args...) }

// Flag adds an option without a value: -nodefaults.
func (c *CommandLine) Flag(name string) { c.args = append(c.args, "-"+name) }

// Value adds an option whose value QEMU takes as it is: -kernel, -append, -bios.
func (c *CommandLine) Value(name, value string) { c.args = append(c.args, "-"+name, value) }

// Property is one of an option's properties, name=value.
type Property struct{ Name, Value string }

// Number makes a property with a number.
func Number(name string, value int) Property { return Property{name, strconv.Itoa(value)} }

// Properties adds an option of the form first,name=value,... An empty first is
// left out. Commas in values are doubled, which is QEMU's escape; names and
// first are the program's own.
func (c *CommandLine) Properties(option, first string, properties ...Property) {
	var parts []string
	if first != "" {
		parts = append(parts, escape(first))
	}
	for _, p := range properties {
		parts = append(parts, p.Name+"="+escape(p.Value))
	}
	c.args = append(c.args, "-"+option, strings.Join(parts, ","))
}

func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// Socket adds a character device that is an inherited, connected socket: it has
// no JSON form on the command line.
func (c *CommandLine) Socket(id string, fd int) {
	c.Properties("chardev", "socket", Property{"id", id}, Number("fd", fd))
}

// Device adds a -device.
func (c *CommandLine) Device(d Device) { c.json("device", "driver", d.driver(), d) }

// Object adds an -object.
func (c *CommandLine) Object(o Object) { c.json("object", "qom-type", o.qomType(), o) }

// Netdev adds a -netdev.
func (c *CommandLine) Netdev(n Netdev) { c.json("netdev", "type", n.netdevType(), n) }

// json adds an option in JSON form, the discriminator first.
func (c *CommandLine) json(option, key, kind string, v any) {
	c.args = append(c.args, "-"+option, object(key, kind, v))
}

// object is v in JSON with a discriminator before its fields.
func object(key, kind string, v any) string {
	text := fmt.Sprintf("{%q:%q", key, kind)
	if rest := strings.TrimPrefix(encode(v), "{"); rest != "}" {
		return text + "," + rest
	}
	return text + "}"
}

// encoded adds an option in JSON form whose discriminator is a field of v.
func (c *CommandLine) encoded(option string, v any) {
	c.args = append(c.args, "-"+option, encode(v))
}

func encode(v any) string {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		// The types of this package have only strings, numbers and booleans.
		panic(fmt.Sprintf("qemu: encode %T: %v", v, err))
	}
	return strings.TrimSpace(body.String())
}
