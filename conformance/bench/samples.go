package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// figure is one thing to measure.
type figure struct {
	name    string
	measure func(context.Context) (time.Duration, error)
}

// medians measures every figure n times, in turn: A B C A B C.
func medians(ctx context.Context, n int, figures ...figure) ([]time.Duration, error) {
	all := make([][]time.Duration, len(figures))
	for range n {
		for i, f := range figures {
			d, err := f.measure(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
			all[i] = append(all[i], d)
		}
	}
	result := make([]time.Duration, len(figures))
	for i, f := range figures {
		slices.Sort(all[i])
		result[i] = all[i][n/2]
		fmt.Printf("  %-44s %9s   (%s to %s)\n", f.name, ms(result[i]), ms(all[i][0]), ms(all[i][n-1]))
	}
	return result, nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }

// ratio prints how many times b is a.
func ratio(what string, a, b time.Duration) {
	fmt.Printf("  %-44s %8.2fx\n", what, float64(a)/float64(b))
}

// timed measures the wall time of f.
func timed(f func(context.Context) error) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		start := time.Now()
		err := f(ctx)
		return time.Since(start), err
	}
}
