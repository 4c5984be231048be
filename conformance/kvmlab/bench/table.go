package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// unit is that of a figure.
type unit struct {
	name         string
	higherBetter bool
}

// The units.
var (
	milliseconds = unit{name: "ms"}
	microseconds = unit{name: "us"}
	mibPerSecond = unit{name: "MiB/s", higherBetter: true}
)

// choice is one of the two that a row compares.
type choice struct {
	name    string
	measure func(context.Context) (float64, error)
}

// row is a comparison, with its medians once it has been measured.
type row struct {
	what          string
	unit          unit
	first, second choice

	medians [2]float64
}

// measure measures both choices of each row n times, in turn.
func measure(ctx context.Context, n int, rows ...row) ([]row, error) {
	for i := range rows {
		r := &rows[i]
		var values [2][]float64
		for range n {
			for k, c := range []choice{r.first, r.second} {
				v, err := bounded(ctx, c)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", r.what, c.name, err)
				}
				values[k] = append(values[k], v)
			}
		}
		for k := range values {
			slices.Sort(values[k])
			r.medians[k] = values[k][n/2]
		}
		fmt.Printf("    %s: %s %.1f, %s %.1f %s\n", r.what, r.first.name, r.medians[0], r.second.name, r.medians[1], r.unit.name)
	}
	return rows, nil
}

// measurementLimit bounds one measurement: a machine may hang.
const measurementLimit = 4 * time.Minute

func bounded(ctx context.Context, c choice) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, measurementLimit)
	defer cancel()
	v, err := c.measure(ctx)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("not within %s: %w", measurementLimit, err)
	}
	return v, err
}

// better is how many times better the second choice is than the first.
func (r row) better() float64 {
	if r.unit.higherBetter {
		return r.medians[1] / r.medians[0]
	}
	return r.medians[0] / r.medians[1]
}

// writeTable prints the rows, a line each.
func writeTable(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "what\tfirst\t\tsecond\t\tsecond is better by")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%.1f %s\t%s\t%.1f %s\t%.2fx\n",
			r.what, r.first.name, r.medians[0], r.unit.name, r.second.name, r.medians[1], r.unit.name, r.better())
	}
	return t.Flush()
}
