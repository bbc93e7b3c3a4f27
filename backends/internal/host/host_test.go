package host

import (
	"testing"

	"dynvit/backends/backendtest"
)

func TestConformance(t *testing.T) { backendtest.Run(t, OpenPortable) }

func BenchmarkPortable(b *testing.B) { backendtest.Bench(b, OpenPortable) }
