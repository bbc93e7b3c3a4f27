package kerneltest

import (
	"fmt"
	"math"

	"dynvit/backends/backendtest"
)

func rowCases() []Case {
	return []Case{{"rows/layernorm", (*bench).layerNorm}, {"rows/mean_half", (*bench).meanHalf}, {"rows/max_rows", (*bench).maxRows}}
}

func (b *bench) layerNorm() {
	for i, s := range [][2]int{{1, 1}, {1, 192}, {15, 33}, {17, 64}, {67, 70}} {
		rows, cols := s[0], s[1]
		x, gamma, beta := b.random(rows*cols), b.random(cols), b.random(cols)
		for j := range x {
			x[j] = x[j]*0.0031623 + 0.5
		}
		y := b.result(x)
		from := y.address() // in place
		if i%2 == 1 {
			from = b.floats(x)
		}
		b.launch("layernorm", [3]int{ceil(rows, 4), 1, 1}, 128, from, b.floats(gamma), b.floats(beta), y.address(), float32(1e-5), rows, cols)
		want := b.tensor(rows, cols, nil)
		b.want.LayerNorm(want, b.tensor(rows, cols, x), b.tensor(1, cols, gamma), b.tensor(1, cols, beta), 1e-5)
		what := fmt.Sprintf("layernorm %v", s)
		near(what, y.read(what), want.Host, backendtest.LimitNorm)
	}
}

func (b *bench) meanHalf() {
	for _, s := range [][2]int{{1, 2}, {9, 6}, {67, 64}, {67, 192}} {
		data := b.random(s[0] * s[1])
		x, want := b.result(data), b.tensor(s[0], s[1], data)
		b.launch("mean_half", [3]int{ceil(s[1]/2, 32), 1, 1}, 256, x.address(), s[0], s[1])
		b.want.MeanHalf(want)
		what := fmt.Sprintf("mean_half %v", s)
		near(what, x.read(what), want.Host, backendtest.LimitNorm)
	}
}

func (b *bench) maxRows() {
	for _, s := range [][2]int{{1, 1}, {7, 33}, {67, 130}} {
		data := b.random(s[0] * s[1])
		for i := range data {
			data[i] -= 9 // all below zero
		}
		data[len(data)-1] = float32(math.NaN())
		data[0] = float32(math.Inf(-1))
		dst, want := b.result(make([]float32, s[1])), b.tensor(1, s[1], nil)
		b.launch("max_rows", [3]int{ceil(s[1], 32), 1, 1}, 256, dst.address(), b.floats(data), s[0], s[1])
		b.want.MaxRows(want, b.tensor(s[0], s[1], data))
		what := fmt.Sprintf("max_rows %v", s)
		same(what, dst.read(what), want.Host)
	}
}
