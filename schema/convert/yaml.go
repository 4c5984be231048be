package convert

import (
	"bytes"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/runcvm/runcvm/schema/document"
)

// readYAML makes the tree of a file without mistakes. Aliases and merge keys are
// replaced by what they stand for. Lines tells where comments are that have no
// place in it.
func readYAML(src []byte, name string) (root *node, lines []int) {
	trees, _ := document.ParseYAML(src, name)
	root = mapping()
	for _, t := range trees {
		root.merge(t)
	}
	found := yamlComments(src)
	taken := 0
	for _, t := range trees {
		taken += found.attach(root, t)
	}
	for range found.count - taken {
		lines = append(lines, unknownLine)
	}
	return root, lines
}

// yamlEntries are the comments of a file by the place of the key that they
// belong to.
type yamlEntries struct {
	at    map[[2]int]comments
	count int // lines of comments, all of them
}

func yamlComments(src []byte) *yamlEntries {
	found := &yamlEntries{at: map[[2]int]comments{}}
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	for {
		var n yaml.Node
		if decoder.Decode(&n) != nil {
			return found
		}
		found.walk(&n)
	}
}

func (f *yamlEntries) walk(n *yaml.Node) {
	own := comments{head: yamlLines(n.HeadComment), line: strings.Join(yamlLines(n.LineComment), " "), foot: yamlLines(n.FootComment)}
	f.count += own.size()
	if n.Kind == yaml.AliasNode {
		return
	}
	for i := 0; i < len(n.Content); i++ {
		if n.Kind != yaml.MappingNode || i+1 >= len(n.Content) {
			f.walk(n.Content[i])
			continue
		}
		key, value := n.Content[i], n.Content[i+1]
		c := comments{head: yamlLines(key.HeadComment), line: strings.Join(yamlLines(key.LineComment), " "), foot: yamlLines(key.FootComment)}
		if c.line == "" {
			c.line = strings.Join(yamlLines(value.LineComment), " ")
			value.LineComment = ""
		}
		list := value.Kind == yaml.SequenceNode
		if list { // comments within it stand above it
			c.head = append(c.head, gather(value)...)
		}
		f.count += c.size()
		f.at[[2]int{key.Line, key.Column}] = c
		if !list {
			f.walk(value)
		}
		i++
	}
}

// gather lists the comments of a node and of those in it.
func gather(n *yaml.Node) []string {
	lines := append(yamlLines(n.HeadComment), yamlLines(n.LineComment)...)
	if n.Kind != yaml.AliasNode {
		for _, inner := range n.Content {
			lines = append(lines, gather(inner)...)
		}
	}
	return append(lines, yamlLines(n.FootComment)...)
}

func (c *comments) size() int {
	n := len(c.head) + len(c.foot)
	if c.line != "" {
		n++
	}
	return n
}

func yamlLines(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(printable(line)), "#")); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// attach gives the entries of a document their comments, and tells how many
// lines these have. The entries of into are in the order of the documents.
func (f *yamlEntries) attach(into *node, tree *document.Node) int {
	taken := 0
	for _, e := range tree.Entries {
		i := into.find(e.Key)
		if i == nil {
			continue
		}
		start := e.KeyRange.Start
		if c, ok := f.at[[2]int{start.Line, start.Column}]; ok {
			delete(f.at, [2]int{start.Line, start.Column})
			i.comments = c
			taken += c.size()
		}
		taken += f.attach(i.value, e.Value)
	}
	return taken
}

func (n *node) find(key string) *entry {
	for _, e := range n.entries {
		if e.key == key {
			return e
		}
	}
	return nil
}

func writeYAML(n *node) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n.yaml()); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

func (n *node) yaml() *yaml.Node {
	switch n.kind {
	case document.Null:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	case document.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: n.text}
	case document.Number:
		tag := "!!float"
		if _, err := strconv.Atoi(n.text); err == nil {
			tag = "!!int"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: n.text}
	case document.String:
		y := &yaml.Node{}
		y.SetString(n.text) // quotes what would be another type
		return y
	case document.List:
		y := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		for _, i := range n.items {
			y.Content = append(y.Content, i.yaml())
		}
		return y
	}
	y := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, e := range n.entries {
		key := &yaml.Node{HeadComment: yamlComment(e.comments.head), FootComment: yamlComment(e.comments.foot)}
		key.SetString(e.key)
		value := e.value.yaml()
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 {
			key.LineComment = yamlComment([]string{e.comments.line})
		} else {
			value.LineComment = yamlComment([]string{e.comments.line})
		}
		y.Content = append(y.Content, key, value)
	}
	return y
}

func yamlComment(lines []string) string {
	var out []string
	for _, l := range lines {
		if l != "" {
			out = append(out, "# "+l)
		}
	}
	return strings.Join(out, "\n")
}
