package schema

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/runcvm/runcvm/internal/diag"
)

// chain declares locals from a0 to a(n-1), each made of the one before it by
// step, in which @ stands for that one.
func chain(n int, first, step string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "locals {\n a0 = %s\n", first)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, " a%d = %s\n", i, strings.ReplaceAll(step, "@", fmt.Sprintf("local.a%d", i-1)))
	}
	fmt.Fprintf(&b, "}\nprofile \"x\" {\n kernel {\n append = [\"${length(local.a%d) > 0}\"]\n }\n}\n", n-1)
	return b.String()
}

func appends(expression string) string { return "kernel {\n append = " + expression + "\n}\n" }

// numbers is a list of n numbers as it is written.
func numbers(n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]"
}

// attacks are documents whose values, programs or trees are far larger than they
// are themselves.
func attacks() map[string]string {
	loop := "[" + strings.Repeat("for a in "+numbers(500)+" : ", 1) + "1]"
	for range 4 {
		loop = "[for a in " + numbers(500) + " : " + loop + "]"
	}
	laughs := "a0: &a0 [x, x]\n"
	for i := 1; i < 40; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	return map[string]string{
		"text doubled":            chain(60, `"a"`, `"${@}${@}"`),
		"text doubled by format":  chain(60, `"a"`, `format("%s%s", @, @)`),
		"text doubled by join":    chain(60, `"a"`, `join(@, ["", @, ""])`),
		"text multiplied":         chain(60, `"aaaaaaaaaa"`, `replace(@, "a", "aaaaaaaaaa")`),
		"text between letters":    chain(60, `"aaaaaaaaaa"`, `replace(@, "", @)`),
		"lists doubled":           chain(60, `["a"]`, `concat(@, @)`),
		"lists in lists":          chain(60, `["a"]`, `[@, @]`),
		"objects in objects":      chain(60, `{}`, `{ a = @, b = @ }`),
		"lists by for":            chain(60, numbers(100), `[for a in @ : @]`),
		"lists by splat":          chain(60, `[{ a = [1, 1] }]`, `concat(@[*], @[*])`),
		"text split":              chain(20, `"aaaaaaaaaa"`, `join("", concat(split("", @), split("", @), split("", @), split("", @)))`),
		"caught by try":           chain(60, `"a"`, `try("${@}${@}", "b")`),
		"caught by can":           appends(`[can(` + loop + `) ? "a" : "b"]`),
		"nested loops":            appends(loop),
		"loops in constants":      "inherits = " + loop + "\n",
		"loops in a description":  "description = " + loop + "\n",
		"loops in a default":      "variable \"v\" {\n default = " + loop + "\n}\nprofile \"x\" {}\n",
		"wide format":             appends(`[format("%999999999d", 1)]`),
		"wide format by zeros":    appends(`[format("%0999999999d", 1)]`),
		"precise format":          appends(`[format("%.999999999f", 1)]`),
		"many formats":            appends(`[format("` + strings.Repeat("%999[1]s", 3000) + `", "a")]`),
		"large number":            appends(`["${1e999999999}"]`),
		"small number":            appends(`["${1e-999999999}"]`),
		"number multiplied":       chain(60, `9e99`, `@ * @ * @ * @`),
		"number as a size":        "machine {\n memory = 1e99999999\n}\n",
		"remainder":               appends(`["x${9e300 % 7e-300}", "x${9e307 * 9e307 % 7e-307}"]`),
		"pattern of repetitions":  appends(`[regex("((a{10}){10}){10}", "` + strings.Repeat("a", 9000) + `")]`),
		"pattern too large":       appends(`[regex("((((a{100}){100}){100}){100})", "a")]`),
		"pattern with many tails": appends(`[regex("(x+x+)+y(a|aa|aaa|.*)*.*.*.*.*.*.*.*z{900}", "` + strings.Repeat("x", 9000) + `")]`),
		"brackets":                appends(strings.Repeat("[", 20000) + strings.Repeat("]", 20000)),
		"parentheses":             appends(strings.Repeat("(", 20000) + "1" + strings.Repeat(")", 20000)),
		"open parentheses":        appends(strings.Repeat("(", 50000)),
		"signs":                   appends("[" + strings.Repeat("!", 50000) + "true]"),
		"templates":               appends(strings.Repeat(`"${`, 10000) + "1" + strings.Repeat(`}"`, 10000)),
		"blocks":                  strings.Repeat("a {\n", 10000) + strings.Repeat("}\n", 10000),
		"a long sum":              appends(`["${1` + strings.Repeat("+1", 30000) + `}"]`),
		"wrong indexes":           appends("machine" + strings.Repeat("[x]", 10000)),
		"billion laughs":          laughs + "machine: {cpus: 2}\n",
		"deep YAML":               "a: " + strings.Repeat("[", 30000),
		"deep YAML mappings":      "a: " + strings.Repeat("{a: ", 10000) + strings.Repeat("}", 10000),
		"deep JSON":               `{"a": ` + strings.Repeat("[", 30000),
		"JSON template":           `{"kernel": {"append": ["${` + strings.Repeat("(", 10000) + "1" + strings.Repeat(")", 10000) + `}"]}}`,
		"YAML template doubled":   "locals: {a: a, b: '${local.a}${local.a}'}\nprofile: {x: {kernel: {append: ['" + strings.Repeat("${format(\"%%999s\", local.b)}", 1000) + "']}}}\n",
	}
}

// bounds are the summaries of what refuses a document for its size.
var bounds = []string{"Expressions too large", "Nested too deeply", "Number too large", "Error in function call", "Invalid function argument", "Too many aliases", "Value too large"}

// TestAttacks wants each refused, by a document's counted work and by what is
// allocated, not by a clock.
func TestAttacks(t *testing.T) {
	for name, src := range attacks() {
		t.Run(name, func(t *testing.T) {
			if len(src) > MaxInline {
				t.Fatalf("the document has %d bytes: it would be refused for its size", len(src))
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			file, diags := ParseInline([]byte(src), "here", "label")
			_, more := Link(file)
			diags = append(diags, more...)
			scope := NewScope(Variables{})
			for _, d := range file.Profiles {
				settings, more := d.Evaluate(scope)
				diags = append(diags, more...)
				for _, s := range settings {
					if words, ok := s.Value.([]string); ok && len(strings.Join(words, "")) > 2*maxValue {
						t.Errorf("a value of %d bytes", len(strings.Join(words, "")))
					}
				}
			}
			diags = append(diags, scope.Diagnostics()...)
			runtime.ReadMemStats(&after)
			if spent := file.meter.spent; spent > maxWork+4*maxValue {
				t.Errorf("%d units of work, beyond %d", spent, maxWork)
			}
			const most = 96 << 20
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > most {
				t.Errorf("%d MiB allocated", allocated>>20)
			}
			got := map[string]bool{}
			for _, d := range diags {
				got[d.Summary] = true
			}
			if !slices.ContainsFunc(bounds, func(summary string) bool { return got[summary] }) {
				t.Errorf("not refused for its work: %.2000s", diag.OneLine(diags))
			}
			if told := len(diag.OneLine(diags)); told > 64<<10 && len(diags) < 50 {
				t.Errorf("%d bytes of messages", told)
			}
		})
	}
}

// TestLegitimateExpressions are within the bounds.
func TestLegitimateExpressions(t *testing.T) {
	const src = `variable "n" {
  type    = "number"
  default = 8
}
locals {
  words = [for i in split(" ", "a b c d e f g h") : upper("${i}=${var.n}")]
  line  = join(" ", local.words)
}
profile "x" {
  machine {
    memory = size(min(bytes("4G"), bytes("512M") * var.n))
    cpus   = try(regex("[0-9]+", local.line), null) == null ? 1 : 2
  }
  kernel {
    append = concat([for w in local.words : w if w != ""], [format("%-10s|%03d", "x", 7), replace("a.b.c", ".", "--")])
  }
}
`
	file, diags := ParseInline([]byte(src), "here", "label")
	_, more := Link(file)
	diags = append(diags, more...)
	settings, more := file.Profiles[0].Evaluate(NewScope(Variables{}))
	if err := append(diags, more...).Err(); err != nil {
		t.Fatal(err)
	}
	if len(settings) != 3 || settings[1].Value != 2 {
		t.Errorf("settings %+v", settings)
	}
	if file.meter.spent > maxWork/10 {
		t.Errorf("%d units of work of %d", file.meter.spent, maxWork)
	}
}
