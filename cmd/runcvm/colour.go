package main

import (
	"os"

	"golang.org/x/term"
)

// colour says whether out is a terminal that takes colours, and that the user
// wants them: see https://no-color.org.
func colour(out *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(out.Fd()))
}
