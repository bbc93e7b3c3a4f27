package avx512

import (
	"testing"

	"dynvit/backends/backendtest"
)

func TestConformance(t *testing.T) { backendtest.Run(t, Open) }

func BenchmarkAVX512(b *testing.B) { backendtest.Bench(b, Open) }
