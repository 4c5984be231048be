package diff

import (
	"cmp"
	"encoding/json"
	"strings"
)

// options names the options of a command line, each with what belongs to it:
// "-m" is "size=512M", "-device agentport" its JSON. An option that occurs
// often has an id, or sets something by name.
func options(argv []any) []part {
	var parts []part
	for i, element := range argv {
		word, ok := element.(string)
		if !ok {
			return nil
		}
		switch {
		case i == 0:
			parts = append(parts, part{"program", word})
		case strings.HasPrefix(word, "-"):
			name, value, assigned := strings.Cut(word, "=")
			p := part{name, true}
			if assigned {
				p.value = value
			}
			parts = append(parts, p)
		case parts[len(parts)-1].name == "program":
			parts = append(parts, part{"argument", word})
		default:
			parts[len(parts)-1].follow(word)
		}
	}
	for i := range parts {
		if text, ok := parts[i].value.(string); ok {
			if id := identity(parts[i].name, text); id != "" {
				parts[i].name += " " + id
			}
		}
	}
	return parts
}

// follow adds a word to what belongs to the option.
func (p *part) follow(word string) {
	switch v := p.value.(type) {
	case []any:
		p.value = append(v, word)
	case string:
		p.value = []any{v, word}
	default:
		p.value = word
	}
}

// identity tells the options of one name apart.
func identity(name, value string) string {
	switch name {
	case "-device", "-object", "-netdev", "-blockdev", "-chardev":
		var object struct {
			ID       string
			NodeName string `json:"node-name"`
		}
		if json.Unmarshal([]byte(value), &object) == nil {
			return cmp.Or(object.ID, object.NodeName)
		}
		for property := range strings.SplitSeq(value, ",") {
			if id, ok := strings.CutPrefix(property, "id="); ok {
				return id
			}
		}
	case "-add-fd":
		_, set, _ := strings.Cut(value, ",")
		return set
	case "-o": // the C virtiofsd's
		setting, _, _ := strings.Cut(value, "=")
		return setting
	}
	return ""
}
