package preprocess

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// inGo runs f without the kernels in assembly. What they and the Go functions
// write must be the same; that those are right is tested elsewhere.
func inGo(t *testing.T, f func()) {
	t.Helper()
	if !inAssembly {
		t.Skip("needs kernels in assembly")
	}
	inAssembly = false
	defer func() { inAssembly = true }()
	f()
}

func noise(rnd *rand.Rand, n int) []byte {
	list := make([]byte, n)
	for i := range list {
		list[i] = byte(rnd.Uint32())
		if rnd.IntN(4) == 0 {
			list[i] = 255 * (list[i] & 1)
		}
	}
	return list
}

// TestConvertKernel: rows of every length, at the end of their memory.
func TestConvertKernel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 130 {
		y, u, v := noise(rnd, n), noise(rnd, n), noise(rnd, n)
		want, got := make([]byte, 3*n), make([]byte, 3*n, 3*n+slack)
		inGo(t, func() { yccRow(want, y, u, v) })
		yccRow(got, y, u, v)
		if !bytes.Equal(got, want) {
			t.Fatalf("%d pixels: %v, want %v", n, got, want)
		}
		if spoilt := got[:cap(got)][len(got):]; !bytes.Equal(spoilt[4:], make([]byte, slack-4)) {
			t.Fatalf("%d pixels: spoils %v behind them", n, spoilt)
		}
	}
}

func TestTriangleKernel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for n := 3; n < 90; n++ {
		near, far := noise(rnd, n), noise(rnd, n)
		for c0 := range min(n, 3) {
			for name, f := range map[string]func(dst []byte){
				"both":   func(dst []byte) { triangleBoth(dst, near, far, c0) },
				"across": func(dst []byte) { triangleAcross(dst, near, c0) },
			} {
				want, got := make([]byte, 2*(n-c0)), make([]byte, 2*(n-c0))
				inGo(t, func() { f(want) })
				f(got)
				if !bytes.Equal(got, want) {
					t.Fatalf("%s of %d samples from %d on: %v, want %v", name, n, c0, got, want)
				}
			}
		}
	}
}

// TestResampleKernels: pictures that grow and shrink to sizes around the kernels'
// blocks, by few and by many taps.
func TestResampleKernels(t *testing.T) {
	for _, size := range []int{1, 2, 10, 11, 12, 32, 33, 64} {
		for _, shape := range [][2]int{{1, 1}, {5, 9}, {33, 47}, {64, 64}, {100, 31}, {700, 90}, {90, 700}, {5000, 40}} {
			s := Spec{Size: size, Resize: size + size/7, Std: deit.Std, Layout: Pixels}
			f := drawn(shape[0], shape[1])
			var want []byte
			inGo(t, func() { want = slices.Clone(render(t, newPreprocessor(t, s), f)) })
			if got := render(t, newPreprocessor(t, s), f); !bytes.Equal(got, want) {
				t.Errorf("%v to %d: differs from the Go functions", shape, size)
			}
		}
	}
}
