package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

var update = flag.Bool("update", false, "write docs/man anew")

// manDir has the manual pages.
const manDir = "../../docs/man"

// TestManPagesAreCurrent compares docs/man with what the commands say of
// themselves.
func TestManPagesAreCurrent(t *testing.T) {
	root := newRoot(&globals{})
	root.InitDefaultHelpCmd()
	root.DisableAutoGenTag = true
	pages := map[string][]byte{}
	addManPages(t, root, pages)
	if *update {
		writeManPages(t, pages)
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(manDir, name))
		if err != nil {
			t.Error(err)
		} else if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what the command says: run \"make docs\" (-command +file):\n%s", name, diff)
		}
	}
	entries, err := os.ReadDir(manDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if pages[e.Name()] == nil {
			t.Errorf("%s/%s is of no command", manDir, e.Name())
		}
	}
}

// addManPages adds the pages of a command and of those below it.
func addManPages(t *testing.T, c *cobra.Command, pages map[string][]byte) {
	t.Helper()
	if c.Hidden || c.Name() == "help" {
		return
	}
	epoch := time.Unix(0, 0)
	var b bytes.Buffer
	if err := doc.GenMan(c, &doc.GenManHeader{Section: "1", Source: "RunCVM", Manual: "RunCVM", Date: &epoch}, &b); err != nil {
		t.Fatal(err)
	}
	name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
	// The pages have no date of their own: they change with the program.
	pages[name] = bytes.ReplaceAll(b.Bytes(), []byte(`"Jan 1970"`), []byte(`""`))
	for _, below := range c.Commands() {
		addManPages(t, below, pages)
	}
}

func writeManPages(t *testing.T, pages map[string][]byte) {
	t.Helper()
	if err := os.RemoveAll(manDir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(manDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(manDir, name), page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
