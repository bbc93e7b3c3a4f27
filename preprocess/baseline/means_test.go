package baseline

import (
	"bytes"
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
