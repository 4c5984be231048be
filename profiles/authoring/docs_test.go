package authoring

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the module's.
var root = filepath.Join("..", "..")

// fenced finds blocks of code. Behind the language, "invalid" says that the
// block shows a mistake, and "other" that it is no profile.
var fenced = regexp.MustCompile("(?ms)^```(hcl|yaml|json)( invalid| other)?$\n(.*?)^```$")

// TestDocuments checks all HCL, YAML and JSON in the documents. A block may use
// what stands before it on its page.
func TestDocuments(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "patches", "README.md"), filepath.Join(root, "examples", "README.md")) {
		text, err := os.ReadFile(page)
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		before := t.TempDir()
		for i, m := range fenced.FindAllStringSubmatch(string(text), -1) {
			language, kind, code := m[1], strings.TrimSpace(m[2]), m[3]
			if kind == "other" {
				continue
			}
			found++
			v := Validate(Input{Host: Host{Profiles: before}, Paths: []string{Stdin}, Stdin: strings.NewReader(code)})
			if wrong := kind == "invalid"; v.Valid == wrong {
				t.Errorf("%s: valid is %t, and the block is said to be %q:\n%s\n%v", page, v.Valid, kind, code, v.Diagnostics)
			}
			if kind == "" && strings.HasPrefix(strings.TrimSpace(code), "profile") {
				name := filepath.Join(before, fmt.Sprintf("%02d.%s", i, language))
				if err := os.WriteFile(name, []byte(code), 0o600); err != nil {
					t.Fatal(err)
				}
				replaceEarlier(t, before, name)
			}
		}
	}
	if found < 10 {
		t.Errorf("%d blocks were found", found)
	}
}

// replaceEarlier removes the earlier files of a page that declare what a later
// one does: a page may develop a profile.
func replaceEarlier(t *testing.T, dir, newest string) {
	t.Helper()
	declared := func(path string) []string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, _ := file{path: path, text: text}.parse()
		return f.Declares()
	}
	names := declared(newest)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if path != newest && slices.ContainsFunc(declared(path), func(n string) bool { return slices.Contains(names, n) }) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestExamples checks each host of examples/ and of the built-in files, and
// the layout of their HCL.
func TestExamples(t *testing.T) {
	folders := []string{filepath.Join(root, "profiles", "builtin"), filepath.Join(root, "patches")}
	err := filepath.WalkDir(filepath.Join(root, "examples"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == "profiles" || d.Name() == "patches") {
			folders = append(folders, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, folder := range folders {
		in := Input{Host: Host{Profiles: t.TempDir()}, Paths: []string{folder}}
		v := Validate(in)
		if err := v.Diagnostics.Err(); err != nil {
			t.Errorf("%s:\n%v", folder, err)
		}
		checked += len(v.Files)
		for _, f := range Format(in, FormatOptions{Check: true, Diff: true}).Files {
			if f.Changed {
				t.Errorf("%s is not laid out as runcvm fmt does it:\n%s", f.File, f.Diff)
			}
		}
	}
	if checked < 8 {
		t.Errorf("%d files were checked", checked)
	}
}
