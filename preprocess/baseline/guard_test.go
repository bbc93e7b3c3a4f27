package baseline

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"dynvit/internal/guardpage"
)

// TestInverseAtPages: blocks at random strides whose last byte and coefficients lie right
// below a page that faults.
func TestInverseAtPages(t *testing.T) {
	if !inAssembly {
		t.Skip("needs kernels in assembly")
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var coef [64]int32
		for i := range coef {
			coef[i] = rnd.Int32N(2000) - 1000
		}
		for side, f := range map[int]struct{ kernel, plain func([]byte, int, *[64]int32) }{
			8: {kernel8, inverse8}, 4: {kernel4, inverse4},
		} {
			stride := side + rnd.IntN(30)
			n := (side-1)*stride + side
			want, got := make([]byte, n), guardpage.Ending[byte](t, n)
			in, plain := guardpage.Copied(t, [][64]int32{coef}), coef
			f.plain(want, stride, &plain)
			f.kernel(got, stride, &in[0])
			if !bytes.Equal(got, want) {
				t.Fatalf("side %d, stride %d: %v, want %v", side, stride, got, want)
			}
		}
	}
}

// TestPlanesAtPages: pictures whose planes lie right below a page that faults, at every
// scale and in random windows.
func TestPlanesAtPages(t *testing.T) {
	rnd, tried := rand.New(rand.NewPCG(7, 8)), 0
	for name, data := range fixtures(t) {
		for _, scale := range []int{1, 2, 4, 8} {
			x, y := rnd.IntN(40), rnd.IntN(40)
			w := Window{x / scale, y / scale, x/scale + 1 + rnd.IntN(20), y/scale + 1 + rnd.IntN(20)}
			d := new(Decoder)
			if _, err := d.Decode(data, scale, w); err != nil {
				continue // of another kind, or too small
			}
			for i := range d.components {
				d.components[i].pix = guardpage.Ending[byte](t, cap(d.components[i].pix))
			}
			d.data = guardpage.Ending[byte](t, cap(d.data))[:0]
			list, err := d.Decode(data, scale, w)
			if err != nil {
				t.Fatalf("%s at 1/%d: %v", name, scale, err)
			}
			tried++
			fresh := decode(t, new(Decoder), data, scale, w)
			for i := range fresh {
				if !bytes.Equal(list[i].Pix, fresh[i].Pix) {
					t.Errorf("%s at 1/%d: plane %d differs on guarded memory", name, scale, i)
				}
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d pictures", tried)
	}
}
