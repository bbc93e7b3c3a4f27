package modelfile

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
)

// halfValue is what the fields of a half say, computed the slow way.
func halfValue(h uint16) float64 {
	sign, exp, man := 1.0, int(h>>10&31), float64(h&1023)
	if h>>15 == 1 {
		sign = -1
	}
	switch {
	case exp == 31 && man != 0:
		return math.NaN()
	case exp == 31:
		return math.Inf(int(sign))
	case exp == 0:
		return sign * math.Ldexp(man, -24)
	}
	return sign * math.Ldexp(1+man/1024, exp-15)
}

// TestHalfWiden: all 65,536 halves widen to the value that their fields say, and
// round back to themselves (a NaN to some NaN).
func TestHalfWiden(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got, want := halfToFloat(h), halfValue(h)
		if math.IsNaN(want) {
			if got == got || floatToHalf(got)&0x7fff <= 0x7c00 {
				t.Fatalf("%#04x: %v and back %#04x, want NaN", h, got, floatToHalf(got))
			}
			continue
		}
		if math.Float64bits(float64(got)) != math.Float64bits(want) {
			t.Fatalf("%#04x: %v, want %v", h, got, want)
		}
		if back := floatToHalf(got); back != h {
			t.Fatalf("%#04x: rounds to %#04x", h, back)
		}
	}
}

// TestHalfRound: between each two neighbours of the 65,536 halves, the float in the
// middle goes to the even one, and those beside it to the nearer. Beyond the
// largest the next step of the scale, 65536, stands in for Inf.
func TestHalfRound(t *testing.T) {
	neighbours(t, 0x7c00, floatToHalf, func(code uint16) float64 {
		if code == 0x7c00 {
			return 65536
		}
		return halfValue(code)
	})
}

// TestBF16Round is the same for bfloat16, whose codes are a float's upper half.
func TestBF16Round(t *testing.T) {
	neighbours(t, 0x7f80, floatToBF16, func(code uint16) float64 {
		if code == 0x7f80 {
			return math.Ldexp(1, 128)
		}
		return float64(math.Float32frombits(uint32(code) << 16))
	})
	for _, bits := range []uint32{0x7f800001, 0x7fffffff, 0xffffffff} {
		if code := floatToBF16(math.Float32frombits(bits)); code&0x7fff <= 0x7f80 {
			t.Errorf("NaN %#x becomes %#04x", bits, code)
		}
	}
}

// neighbours checks round on the middle of value(code), value(code+1) for every
// code below inf, and on the floats next to the middle, at both signs.
func neighbours(t *testing.T, inf uint16, round func(float32) uint16, value func(uint16) float64) {
	t.Helper()
	for code := range inf {
		middle := float32((value(code) + value(code+1)) / 2) // exact: one bit more than the code has
		for _, c := range []struct {
			x    float32
			want uint16
		}{
			{math.Nextafter32(middle, 0), code},
			{middle, code + code&1},
			{math.Nextafter32(middle, math.MaxFloat32), code + 1},
		} {
			if got := round(c.x); got != c.want {
				t.Fatalf("%v above %#04x: %#04x, want %#04x", c.x, code, got, c.want)
			}
			if got := round(-c.x); got != c.want|0x8000 {
				t.Fatalf("%v above %#04x: %#04x, want %#04x", -c.x, code, got, c.want|0x8000)
			}
		}
	}
}

func TestTensorFloat32(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		dtype DType
		data  []byte
		want  []float32
	}{
		{F64, le.AppendUint64(le.AppendUint64(nil, math.Float64bits(-0.1)), math.Float64bits(1e300)), []float32{-0.1, float32(math.Inf(1))}},
		{F32, floats(1.5, -0.1), []float32{1.5, -0.1}},
		{F16, []byte{0x00, 0x3e, 0x01, 0x80}, []float32{1.5, -1.0 / (1 << 24)}},
		{BF16, []byte{0xc0, 0x3f, 0x00, 0xc0}, []float32{1.5, -2}},
		{I64, le.AppendUint64(le.AppendUint64(nil, math.MaxUint64), 1<<24+1), []float32{-1, 1 << 24}},
		{I32, le.AppendUint32(nil, 0xfffffffe), []float32{-2}},
		{I16, []byte{0xfd, 0xff, 0x00, 0x01}, []float32{-3, 256}},
		{I8, []byte{0x80, 0x7f}, []float32{-128, 127}},
		{U8, []byte{0x80, 0xff}, []float32{128, 255}},
		{Bool, []byte{0, 1}, []float32{0, 1}},
		{F32, nil, []float32{}},
	} {
		got, err := Tensor{"x", c.dtype, []int{len(c.want)}, c.data}.Float32()
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v (%v)", c.dtype, got, c.want, err)
		}
	}
	if _, err := (Tensor{Name: "x", DType: "F8_E4M3", Data: []byte{1}}).Float32(); err == nil || !strings.Contains(err.Error(), "tensor x") {
		t.Errorf("an unknown type gives %v", err)
	}
}
