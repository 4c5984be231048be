package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"
)

// readRandom reads 4 KiB at each of count random places of a file, always the same
// ones, and tells how long that took, in nanoseconds.
func readRandom(w io.Writer, name string, count int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	block := make([]byte, 4096)
	blocks := st.Size() / int64(len(block))
	if blocks < 1 {
		return fmt.Errorf("%s has %d bytes: it needs %d at least", name, st.Size(), len(block))
	}
	places := rand.New(rand.NewPCG(1, 2))
	start := time.Now()
	for range count {
		if _, err := f.ReadAt(block, places.Int64N(blocks)*int64(len(block))); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(w, time.Since(start).Nanoseconds())
	return err
}
