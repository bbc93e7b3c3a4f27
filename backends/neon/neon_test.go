package neon

import (
	"os"
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/internal/encodings"
)

// needed are the features that /proc/cpuinfo must show for the backend to open.
var needed = []string{"asimd"}

func TestConformance(t *testing.T) {
	backendtest.Available(t, Open, built, needed...)
	backendtest.Run(t, Open)
}

// TestLadder: every lower rung that this processor has is as exact, and without NEON the
// backend refuses.
func TestLadder(t *testing.T) {
	backendtest.Available(t, Open, built, needed...)
	tried := map[string]bool{why(t): true}
	for _, disabled := range [][]string{{"i8mm", "bf16", "fhm"}, {"i8mm", "bf16", "asimddp", "fhm", "asimdhp"}} {
		if rung := why(t, disabled...); !tried[rung] {
			tried[rung] = true
			t.Run(rung, func(t *testing.T) {
				backendtest.Run(t, func(o backends.Options) (backends.Backend, error) {
					o.Disable = disabled
					return Open(o)
				})
			})
		}
	}
	backendtest.Refuses(t, Open, "asimd")
}

// why is what the backend says it was picked by.
func why(t *testing.T, disabled ...string) string {
	t.Helper()
	be, err := Open(backends.Options{Threads: 1, Disable: disabled})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	return be.Facts().Why
}

// TestRung: on a processor of the rung that DYNVIT_RUNG names, that one is picked.
func TestRung(t *testing.T) {
	want := os.Getenv("DYNVIT_RUNG")
	if want == "" {
		t.Skip("DYNVIT_RUNG names no rung: make test-arm64 does")
	}
	if got := why(t); !strings.HasPrefix(got, want) {
		t.Errorf("picked %q, want %q", got, want)
	}
}

// TestEncodings: what the files call the words that Go's assembler does not know is what
// they are.
func TestEncodings(t *testing.T) {
	encodings.Check(t, encodings.ARM64, map[string]int{
		"product_arm64.s": 1000, "rows_arm64.s": 100, "pack_arm64.s": 30, "peak_arm64.s": 60,
	})
}

func BenchmarkNEON(b *testing.B) { backendtest.Bench(b, Open) }

func BenchmarkCold(b *testing.B) { backendtest.BenchCold(b, Open) }
