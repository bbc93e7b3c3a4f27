package baseline

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestMeans: they are what decoding at an eighth gives.
func TestMeans(t *testing.T) {
	d := new(Decoder)
	for name, data := range fixtures(t) {
		m, err := d.Means(data)
		want, other := new(Decoder).Decode(data, 8, everything)
		if (err == nil) != (other == nil) {
			t.Errorf("%v: %v, decoding says %v", name, err, other)
		}
		if err != nil || other != nil {
			continue
		}
		if want[0].SX != 1 || want[0].SY != 1 {
			continue // at an eighth it is larger than asked for
		}
		for y := range m.Height {
			if got, want := m.Pix[y*m.Stride:][:m.Width], want[0].Pix[y*want[0].Stride:][:m.Width]; !bytes.Equal(got, want) {
				t.Errorf("%v: row %d is %v, want %v", name, y, got, want)
				break
			}
		}
		decode(t, d, data, 1, everything) // the next picture is not affected
	}
}

// TestWatch: a picture's means fall off as a window of it is decoded, equal to those without decoding, and change nothing of
// the window. Of a damaged picture there may be none.
func TestWatch(t *testing.T) {
	alone, watching, means := new(Decoder), new(Decoder), new(Decoder)
	compare := func(name string, data []byte, whole bool) {
		t.Helper()
		for _, scale := range []int{1, 2, 8} {
			for _, w := range []Window{everything, {3, 5, 20, 9}, {16, 0, 17, 1}} {
				want, wrong := alone.Decode(data, scale, w)
				watching.Watch = true
				got, err := watching.Decode(data, scale, w)
				if (err == nil) != (wrong == nil) {
					t.Fatalf("%s: %v, unwatched %v", name, err, wrong)
				}
				if err != nil {
					continue
				}
				if watching.Damaged() != alone.Damaged() {
					t.Errorf("%s: damaged %v, unwatched %v", name, watching.Damaged(), alone.Damaged())
				}
				for i := range want {
					if !bytes.Equal(crop(got[i], w), crop(want[i], w)) {
						t.Errorf("%s, 1/%d of %v: plane %d differs", name, scale, w, i)
					}
				}
				m, ok := watching.Watched()
				if !ok {
					if whole {
						t.Errorf("%s, 1/%d of %v: no means", name, scale, w)
					}
					continue
				}
				if other, err := means.Means(data); err != nil || other.Width != m.Width || other.Height != m.Height || !bytes.Equal(other.Pix, m.Pix) {
					t.Errorf("%s, 1/%d of %v: the means differ, %v", name, scale, w, err)
				}
			}
		}
	}
	for name, data := range fixtures(t) {
		compare(name, data, true)
		for _, cut := range []int{3, 2, 1} {
			compare(name+" cut", data[:len(data)-len(data)*cut/4], false)
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	data := encoded(t, 200, 120, 60, false)
	for range 200 {
		broken := bytes.Clone(data)
		for range 1 + random.IntN(4) {
			broken[700+random.IntN(len(broken)-700)] = byte(random.Uint32())
		}
		compare("broken", broken, false)
	}
	watching.Watch = false
	decode(t, watching, data, 1, everything)
	if _, ok := watching.Watched(); ok {
		t.Error("watched without being told to")
	}
}

// crop is a window of a plane.
func crop(p Plane, w Window) (pix []byte) {
	for y := w.Y0 / p.SY; y < (w.Y1+p.SY-1)/p.SY && (y+1)*p.Stride <= len(p.Pix); y++ {
		row := p.Pix[y*p.Stride:][:p.Stride]
		pix = append(pix, row[min(w.X0/p.SX, p.Stride):min((w.X1+p.SX-1)/p.SX, p.Stride)]...)
	}
	return pix
}

func BenchmarkMeans(b *testing.B) {
	for name, noise := range map[string]int{"smooth": 10, "busy": 64} {
		data := encoded(b, 1280, 720, noise, false)
		b.Run(name, func(b *testing.B) {
			d := new(Decoder)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := d.Means(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
