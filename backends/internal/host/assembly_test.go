package host

import "testing"

// TestChecked: a call that does not fit its memory panics before the kernel runs, in each
// of the ways that it can be too short.
func TestChecked(t *testing.T) {
	fitting := func() *Call {
		return &Call{
			Dst: make([]float32, 3*10+8), A: make([]uint32, 3*7+5), Panel: make([]uint32, 6*8), Bias: make([]float32, 8),
			Res: make([]float32, 3*10+8), Scale: make([]float32, 4), Unit: make([]float32, 8), Zero: make([]int32, 4),
			Panels: 1, Rows: 4, Tile: 2, Words: 5, DstStride: 10, AStride: 7,
		}
	}
	ran := 0
	p := Checked(Product{Heights: []int{1, 2, 4}, Cols: 8, Group: 4, Codes: true}, 1, func(*Call) { ran++ })
	if got := p.PanelWords(20); got != 6*8 {
		t.Fatalf("a panel of 20 inputs has %d words", got)
	}
	if p.Mul(fitting()); ran != 1 {
		t.Fatal("a fitting call did not run")
	}
	for name, spoil := range map[string]func(c *Call){
		"dst":            func(c *Call) { c.Dst = c.Dst[1:] },
		"a":              func(c *Call) { c.A = c.A[1:] },
		"panel":          func(c *Call) { c.Panel = c.Panel[1:] },
		"bias":           func(c *Call) { c.Bias = c.Bias[1:] },
		"res":            func(c *Call) { c.Res = c.Res[1:] },
		"scale":          func(c *Call) { c.Scale = c.Scale[1:] },
		"unit":           func(c *Call) { c.Unit = c.Unit[1:] },
		"zero":           func(c *Call) { c.Zero = c.Zero[1:] },
		"height":         func(c *Call) { c.Rows, c.Tile = 3, 3 },
		"part of a tile": func(c *Call) { c.Rows = 3 },
		"no rows":        func(c *Call) { c.Rows = 0 },
		"no panels":      func(c *Call) { c.Panels = 0 },
		"two panels":     func(c *Call) { c.Panels = 2 },
		"no words":       func(c *Call) { c.Words = 0 },
		"backwards":      func(c *Call) { c.AStride = -1 },
		"res of pairs":   func(c *Call) { c.Pairs = true },
		"dst of pairs":   func(c *Call) { c.Pairs, c.Res, c.Dst = true, nil, c.Dst[:3*10+3] },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil || ran != 1 {
					t.Error("no panic")
				}
			}()
			c := fitting()
			spoil(c)
			p.Mul(c)
		})
	}
}
