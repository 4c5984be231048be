package testkit

import (
	"testing"
	"time"
)

// Eventually polls check until it succeeds, and fails the test with check's
// last error when it has not within the time.
func Eventually(t testing.TB, within time.Duration, check func() error) {
	t.Helper()
	end := time.Now().Add(within)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %v", within, err)
		}
		time.Sleep(pause)
	}
}
