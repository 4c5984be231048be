package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// impure lists calls of packages that pure code may import for other things:
// durations of package time, file modes of package os.
var impure = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker", "Local"},
	"os":   {"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Hostname", "Getpid", "Getwd", "Open", "ReadFile", "ReadDir", "Stat", "Create", "WriteFile"},
}

// TestPureFoldersDoNotCallOut keeps the clock, the environment and files out of
// what must give the same plan every time. Reading files is the job of
// profiles.
func TestPureFoldersDoNotCallOut(t *testing.T) {
	for _, folder := range []string{"schema", "engine"} {
		root := filepath.Join("..", "..", folder)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, pos := range impureUses(file) {
				t.Errorf("%s: the engine is pure: no clock, no environment, no files", set.Position(pos))
			}
			return nil
		})
		if err != nil {
			t.Errorf("walk %s: %v", folder, err)
		}
	}
}

func impureUses(file *ast.File) []token.Pos {
	var found []token.Pos
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && slices.Contains(impure[x.Name], s.Sel.Name) {
				found = append(found, s.Pos())
			}
		}
		return true
	})
	return found
}

func TestImpureUsesAreFound(t *testing.T) {
	const source = `package p
import ("os"; "time")
var a = time.Now()
var b = os.Getenv("A")
var c os.FileMode
var d time.Duration`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(impureUses(file)); got != 2 {
		t.Errorf("found %d impure uses, want 2", got)
	}
}
