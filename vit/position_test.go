package vit

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"
)

// TestResize holds both ways to bring positions to another grid to what
// torch.nn.functional.interpolate (2.15, bicubic) makes of a 5×5 grid.
func TestResize(t *testing.T) {
	text, err := os.ReadFile("testdata/positions.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Grid               []float32
		Plain, Antialiased map[string][]float32
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	const d = 2 // the grid, and twice it
	src := make([]float32, d*len(want.Grid))
	for i, v := range want.Grid {
		src[d*i], src[d*i+1] = v, 2*v
	}
	for _, way := range []struct {
		name string
		want map[string][]float32
		taps func(to, from int) []tap
	}{{"plain", want.Plain, plainTaps}, {"antialiased", want.Antialiased, cubicTaps}} {
		if len(way.want) < 6 {
			t.Fatalf("%s: %d grids", way.name, len(way.want))
		}
		for side, values := range way.want {
			to, err := strconv.Atoi(side)
			if err != nil || len(values) != to*to {
				t.Fatal(side, err)
			}
			got, both := make([]float32, d*to*to), make([]float32, d*to*to)
			resize(got, src, to, 5, d, way.taps)
			for i, v := range values {
				both[d*i], both[d*i+1] = v, 2*v
			}
			if e := far(got, both); !(e < 2e-6) {
				t.Errorf("%s to %d: off by %.1g of the largest: %v, want %v", way.name, to, e, got, both)
			}
		}
	}
}
