package document

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v4"
)

// syntax reports why the library does not take the document.
func (r *yamlReader) syntax(err error) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		r.report(r.source.at(r.source.begin), "Invalid YAML", "%s.", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	at := r.offset(e.Mark.Line, e.Mark.Column)
	begin := r.offset(e.ContextMark.Line, e.ContextMark.Column)
	text := r.source.text
	if r.tab(at) {
		return
	}
	if strings.Contains(e.Message, "max depth") {
		r.tooDeep(r.source.at(at))
		return
	}
	switch message := e.Message; {
	case strings.Contains(message, "end of stream"), strings.Contains(message, "could not find expected ':'"):
		// The library goes on to where nothing is left; the mistake is where the
		// scalar begins.
		at = begin
	case strings.Contains(message, "did not find expected ','") && len(strings.TrimSpace(string(text[at:]))) == 0:
		at = begin
	}
	r.report(r.source.at(at), "Invalid YAML", "%s", r.syntaxDetail(e, at, begin))
}

// tab reports a tab in the indentation, which the library calls many things.
func (r *yamlReader) tab(at int) bool {
	text := r.source.text
	for at < len(text) && text[at] == ' ' {
		at++
	}
	if at >= len(text) || text[at] != '\t' {
		return false
	}
	line := strings.LastIndexByte(string(text[:at]), '\n') + 1
	if strings.Trim(string(text[line:at]), " \t") != "" {
		return false
	}
	r.report(r.source.at(at), "Tab in the indentation", "YAML is indented with spaces; a tab is not allowed there. Replace it by two spaces.")
	return true
}

// syntaxDetail says in whole sentences what the library says in its parser's
// words.
func (r *yamlReader) syntaxDetail(e *yaml.LoadError, at, begin int) string {
	c := byte(0)
	if at < len(r.source.text) {
		c = r.source.text[at]
	}
	switch message := e.Message; {
	case strings.Contains(message, "mapping values are not allowed"):
		return `A second colon on a line, or a line that is indented more than the one above it, does not make a mapping. Put text that has ": " in quotes, and let the names of a mapping begin in the same column.`
	case strings.Contains(message, "could not find expected ':'"):
		return "This line has no colon: a name is followed by a colon and a space, as in \"cpus: 2\"."
	case strings.Contains(message, "end of stream"):
		return "The text that begins here has no closing quote."
	case strings.Contains(message, "cannot start any token"):
		return "The character \"" + string(rune(c)) + "\" cannot begin text without quotes. Put the text in quotes."
	case strings.Contains(message, "unknown escape"):
		return "This is no escape of YAML. In double quotes a backslash is written as \\\\; in single quotes it is itself."
	case strings.Contains(message, "invalid Unicode character escape"):
		return `This escape is no character: YAML does not have the surrogate pairs of JSON. A character beyond U+FFFF is written as \U0001F600, or as itself.`
	case strings.Contains(message, "expected ',' or ']'"):
		return "The list that begins at " + r.place(begin) + " has no comma or closing bracket here."
	case strings.Contains(message, "expected ',' or '}'"):
		return "The mapping that begins at " + r.place(begin) + " has no comma or closing brace here."
	case strings.Contains(message, "expected '-' indicator"):
		return "This is not an element of the list that begins at " + r.place(begin) + ": indent it as the list, or end the list by less indentation."
	case strings.Contains(message, "expected key"):
		return "This does not go on with the mapping that begins at " + r.place(begin) + ". The names of a mapping begin in the same column, and nothing follows a value in quotes."
	case strings.Contains(message, "unknown anchor"):
		name, _, _ := strings.Cut(strings.TrimPrefix(message, "unknown anchor '"), "'")
		return "There is no anchor &" + name + " in front of this alias. Text that begins with an asterisk needs quotes."
	case strings.Contains(message, "undefined tag handle"):
		return "A profile has no tags of its own. Text that begins with an exclamation mark needs quotes."
	default:
		detail := message
		if e.ContextMsg != "" {
			detail += " " + e.ContextMsg
		}
		return "YAML does not allow this here: " + detail + "."
	}
}
