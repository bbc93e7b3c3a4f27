package backends

import (
	"fmt"
	"strings"
	"testing"
)

// host is a matrix in memory whose elements are their places; device lies at an address.
func host(rows, cols int) Tensor {
	t := Tensor{Rows: rows, Cols: cols, Host: make([]float32, rows*cols)}
	for i := range t.Host {
		t.Host[i] = float32(i)
	}
	return t
}

func device(rows, cols int) Tensor { return Tensor{Rows: rows, Cols: cols, Dev: 0x1000} }

func TestTensorView(t *testing.T) {
	for _, c := range []struct{ from, to int }{{0, 5}, {1, 4}, {2, 2}, {0, 0}, {5, 5}} {
		got := host(5, 3).View(c.from, c.to)
		if got.Rows != c.to-c.from || got.Cols != 3 || len(got.Host) != 3*got.Rows || got.IsZero() || got.Dev != 0 {
			t.Errorf("%+v: %+v", c, got)
		}
		if got.Rows > 0 && got.Host[0] != float32(3*c.from) {
			t.Errorf("%+v begins with element %v", c, got.Host[0])
		}
		if got, want := device(5, 3).View(c.from, c.to), (Tensor{Rows: c.to - c.from, Cols: 3, Dev: 0x1000 + uint64(12*c.from)}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v on a device: %+v, want %+v", c, got, want)
		}
	}
	whole := host(2, 2)
	if whole.View(1, 2).Host[0] = 7; whole.Host[2] != 7 {
		t.Error("a view is a copy")
	}
}

func TestTensorReshape(t *testing.T) {
	got := host(4, 6).View(1, 4).Reshape(2, 5)
	if got.Rows != 2 || got.Cols != 5 || len(got.Host) != 10 || got.Host[0] != 6 {
		t.Errorf("%+v", got)
	}
	if got := device(4, 6).View(1, 4).Reshape(2, 5); got.Rows != 2 || got.Cols != 5 || got.Dev != 0x1018 {
		t.Errorf("on a device: %+v", got)
	}
	if got := host(4, 6).Reshape(8, 3); len(got.Host) != 24 {
		t.Errorf("all of it: %+v", got)
	}
}

func TestTensorLimits(t *testing.T) {
	for name, do := range map[string]func(Tensor) Tensor{
		"View: rows -1":     func(x Tensor) Tensor { return x.View(-1, 2) },
		"View: rows 2 to 1": func(x Tensor) Tensor { return x.View(2, 1) },
		"View: rows 0 to 6": func(x Tensor) Tensor { return x.View(0, 6) },
		"Reshape: [4, 4]":   func(x Tensor) Tensor { return x.Reshape(4, 4) },
		"Reshape: [-1, 4]":  func(x Tensor) Tensor { return x.Reshape(-1, 4) },
	} {
		for kind, x := range map[string]Tensor{"memory": host(5, 3), "a device": device(5, 3)} {
			func() {
				defer func() {
					if said := fmt.Sprint(recover()); !strings.Contains(said, "backends: Tensor."+name) {
						t.Errorf("%s in %s: %s", name, kind, said)
					}
				}()
				do(x)
			}()
		}
	}
}

func TestTensorsAllocateNothing(t *testing.T) {
	x, sum := host(5, 3), 0
	if n := testing.AllocsPerRun(10, func() { sum += x.View(1, 4).Reshape(3, 2).Rows }); n != 0 || sum == 0 {
		t.Errorf("%v allocations", n)
	}
}
