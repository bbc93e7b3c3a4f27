package host

import (
	"slices"
	"testing"

	"dynvit/backends"
)

// TestHugePages: those that are weights by three quarters, however those are cut.
func TestHugePages(t *testing.T) {
	const page = hugePage
	for name, c := range map[string]struct {
		spans []span
		want  []uintptr
	}{
		"nothing":             {nil, nil},
		"a whole one":         {[]span{{4 * page, 5 * page}}, []uintptr{4 * page}},
		"just enough":         {[]span{{4*page + page/4, 5 * page}}, []uintptr{4 * page}},
		"too little":          {[]span{{4*page + page/4 + 4, 5 * page}}, nil},
		"beginning and end":   {[]span{{4*page - 8, 6*page + 8}}, []uintptr{4 * page, 5 * page}},
		"of two, not in turn": {[]span{{9*page + page/2, 10 * page}, {9 * page, 9*page + page/3}}, []uintptr{9 * page}},
		"far apart":           {[]span{{90 * page, 91 * page}, {3 * page, 4 * page}}, []uintptr{3 * page, 90 * page}},
	} {
		if got := hugePages(c.spans); !slices.Equal(got, c.want) {
			t.Errorf("%s: %#x, want %#x", name, got, c.want)
		}
	}
}

// TestSettle: weights stay what they are, those that are packed later are left alone, and none is kept from
// the collector for it.
func TestSettle(t *testing.T) {
	be, err := OpenPortable(backends.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	const n, in = 6, 1 << 10
	values := make([]float32, in*in)
	for i := range values {
		values[i] = float32(i%1009) - 504
	}
	pack := func() backends.Weight {
		w, err := be.Pack(values, in, in, nil, backends.F32)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	weights := []backends.Weight{pack(), pack(), pack(), pack()} // of 4 MiB
	x, _ := be.Alloc(n, in)
	for i := range x.Host {
		x.Host[i] = float32(i % 17)
	}
	outputs := func() (all []float32) {
		for _, w := range weights {
			y, _ := be.Alloc(n, in)
			be.Linear(y, x, w, backends.None, backends.Tensor{})
			all = append(all, y.Host...)
		}
		return all
	}
	before := outputs()
	be.(backends.Settler).Settle()
	if after := outputs(); !slices.Equal(before, after) {
		t.Error("outputs differ")
	}
	pack()
	be.(backends.Settler).Settle()
	if left := be.(*driver).packed; left != nil {
		t.Errorf("%d weights are remembered", len(left))
	}
}
