package catalogue

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/runcvm/runcvm/engine/plan"
	"github.com/runcvm/runcvm/internal/diag"
	"github.com/runcvm/runcvm/internal/diag/hcldiag"
)

// document is a file as it is written.
type document struct {
	Distributions []*entry `hcl:"distribution,block"`
}

// entry is a distribution as it is written; the expressions keep their places.
type entry struct {
	Name      string         `hcl:"name,label"`
	Title     string         `hcl:"title"`
	IDs       hcl.Expression `hcl:"ids"`
	Default   bool           `hcl:"default,optional"`
	Kernels   hcl.Expression `hcl:"kernels"`
	Modules   hcl.Expression `hcl:"modules"`
	Formats   hcl.Expression `hcl:"formats"`
	Arguments hcl.Expression `hcl:"arguments,optional"`
	Place     hcl.Range      `hcl:",def_range"`
}

// moduleFormats are those that kernels.BuildInitramfs reads.
var moduleFormats = []string{".ko", ".ko.gz", ".ko.xz", ".ko.zst"}

// Parse reads the *.hcl of a folder. All mistakes are reported.
func Parse(dir fs.FS) ([]Distribution, diag.Diagnostics) {
	p := &parser{ids: map[string]string{}}
	names, err := fs.Glob(dir, "*.hcl")
	if err == nil && len(names) == 0 {
		err = errors.New("it has no *.hcl")
	}
	if err != nil {
		p.diags.Errorf("Unreadable catalogue", "The catalogue of kernels cannot be read: %v.", err)
		return nil, p.diags
	}
	for _, name := range names {
		p.file(dir, name)
	}
	slices.SortFunc(p.list, func(a, b Distribution) int { return cmp.Compare(a.Name, b.Name) })
	if n := len(p.defaults); n != 1 && !p.diags.HasErrors() {
		p.diags.Errorf("No single default", "One distribution has \"default = true\"; here %d have it.", n)
	}
	return p.list, p.diags
}

type parser struct {
	source   []byte
	context  string
	list     []Distribution
	ids      map[string]string // to the name of their distribution
	defaults []string
	diags    diag.Diagnostics
}

func (p *parser) file(dir fs.FS, name string) {
	source, err := fs.ReadFile(dir, name)
	if err != nil {
		p.diags.Errorf("Unreadable catalogue", "%s cannot be read: %v.", name, err)
		return
	}
	p.source, p.context = source, ""
	file, problems := hclsyntax.ParseConfig(source, name, hcl.InitialPos)
	var d document
	if !problems.HasErrors() {
		problems = gohcl.DecodeBody(file.Body, nil, &d)
	}
	p.diags = append(p.diags, hcldiag.Convert(problems, source, "")...)
	if problems.HasErrors() {
		return
	}
	for _, e := range d.Distributions {
		p.entry(e)
	}
}

func (p *parser) entry(e *entry) {
	p.context = "in distribution \"" + e.Name + "\""
	if !validName(e.Name) {
		p.errorf(e.Place, "Invalid name", "A distribution's name is that of a folder and of a value in profiles: lower-case letters and digits.")
	}
	if slices.ContainsFunc(p.list, func(d Distribution) bool { return d.Name == e.Name }) {
		p.errorf(e.Place, "Duplicate distribution", "There is an entry of that name already.")
		return
	}
	d := Distribution{Name: e.Name, Title: e.Title, Default: e.Default}
	if e.Default {
		p.defaults = append(p.defaults, e.Name)
	}
	d.IDs = p.words(e.IDs, "id", func(s string, at hcl.Range) {
		if other, known := p.ids[s]; known {
			p.errorf(at, "Duplicate ID", "The distribution %q has this ID already.", other)
		}
		p.ids[s] = e.Name
	})
	d.Places = plan.KernelPlaces{
		Distribution: e.Name,
		Images:       p.words(e.Kernels, "path", p.pattern),
		Modules:      p.words(e.Modules, "path", p.pattern),
		Formats: p.words(e.Formats, "format", func(s string, at hcl.Range) {
			if !slices.Contains(moduleFormats, s) {
				p.errorf(at, "Unknown module format", "A module's file ends with %s.", diag.Choices(moduleFormats))
			}
		}),
	}
	if v, problems := e.Arguments.Value(nil); problems.HasErrors() || !v.IsNull() {
		d.Arguments = p.words(e.Arguments, "argument", func(s string, at hcl.Range) {
			if strings.ContainsAny(s, " \t\"") {
				p.errorf(at, "Invalid argument", "A word of the kernel's command line has no spaces and no quotes.")
			}
		})
	}
	p.list = append(p.list, d)
}

func validName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// pattern checks a path of an image.
func (p *parser) pattern(s string, at hcl.Range) {
	if _, err := path.Match(s, ""); err != nil || !path.IsAbs(s) || path.Clean(s) != s {
		p.errorf(at, "Invalid path", "A path begins with a slash, has no \"..\" and no slash at its end; a * stands for any text of one part.")
	}
}

// words reads a list of at least one text.
func (p *parser) words(e hcl.Expression, what string, check func(s string, at hcl.Range)) []string {
	elements, problems := hcl.ExprList(e)
	if problems.HasErrors() || len(elements) == 0 {
		p.errorf(e.Range(), "Wrong type of value", "Write a list of texts in brackets, with one %s or more.", what)
		return nil
	}
	var list []string
	for _, element := range elements {
		var s string
		if problems := gohcl.DecodeExpression(element, nil, &s); problems.HasErrors() || s == "" {
			p.errorf(element.Range(), "Wrong type of value", "Write each %s in quotes.", what)
			continue
		}
		check(s, element.Range())
		list = append(list, s)
	}
	return list
}

func (p *parser) errorf(at hcl.Range, summary, detail string, args ...any) {
	p.diags = append(p.diags, hcldiag.At(p.source, at, p.context, summary, fmt.Sprintf(detail, args...)))
}
