package finite

import (
	"math"
	"testing"
)

// TestIndexNot: the first of them at each place of a round and behind the last.
func TestIndexNot(t *testing.T) {
	for n := range 30 {
		data := make([]float32, n)
		for i := range data {
			data[i] = float32(i) * 1e37
		}
		if got := IndexNot(data); got != -1 {
			t.Errorf("of %d: %d", n, got)
		}
		for i, bad := range data {
			bad += float32(math.Inf(1 - i%3))
			data[n-1], data[i] = float32(math.NaN()), bad
			if got := IndexNot(data); got != i {
				t.Errorf("of %d with %v at %d: %d", n, bad, i, got)
			}
			data[i], data[n-1] = 1, 1
		}
	}
}
