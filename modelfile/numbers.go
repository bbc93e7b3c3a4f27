package modelfile

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Float32 converts a tensor's elements into a fresh slice; bool becomes 0 and 1.
func (t Tensor) Float32() ([]float32, error) {
	decode := decoder(t.DType)
	if decode == nil {
		return nil, fmt.Errorf("tensor %s: type %q is not known", t.Name, t.DType)
	}
	size := t.DType.Size()
	out := make([]float32, t.Len())
	for i := range out {
		out[i] = decode(t.Data[i*size:])
	}
	return out, nil
}

// decoder returns the function that reads one element, nil for an unknown type.
func decoder(d DType) func([]byte) float32 {
	le := binary.LittleEndian
	switch d {
	case F64:
		return func(b []byte) float32 { return float32(math.Float64frombits(le.Uint64(b))) }
	case F32:
		return func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) }
	case F16:
		return func(b []byte) float32 { return halfToFloat(le.Uint16(b)) }
	case BF16:
		return func(b []byte) float32 { return math.Float32frombits(uint32(le.Uint16(b)) << 16) }
	case I64:
		return func(b []byte) float32 { return float32(int64(le.Uint64(b))) }
	case I32:
		return func(b []byte) float32 { return float32(int32(le.Uint32(b))) }
	case I16:
		return func(b []byte) float32 { return float32(int16(le.Uint16(b))) }
	case I8:
		return func(b []byte) float32 { return float32(int8(b[0])) }
	case U8, Bool:
		return func(b []byte) float32 { return float32(b[0]) }
	}
	return nil
}

// halfToFloat widens IEEE 754 binary16, exactly.
func halfToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	man := uint32(h & 0x3ff)
	switch exp {
	case 0: // zero or subnormal: man · 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(man)*(1.0/(1<<24))))
	case 0x1f: // Inf, NaN
		return math.Float32frombits(sign | 0x7f800000 | man<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// floatToHalf rounds to nearest even; beyond the largest half it gives Inf, which
// FromFloat32 refuses.
func floatToHalf(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits>>16) & 0x8000
	abs := bits & 0x7fffffff
	switch {
	case abs > 0x7f800000: // NaN
		return sign | 0x7e00
	case abs >= 0x477ff000: // rounds to 65536 or more
		return sign | 0x7c00
	case abs < 0x38800000: // subnormal: count units of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(abs))*(1<<24)))
	}
	abs += 0xfff + abs>>13&1 // round the 13 bits that go, ties to even
	return sign | uint16(abs>>13-112<<10)
}

// floatToBF16 rounds to nearest even.
func floatToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// FromFloat32 makes the tensors that hold data [shape] as the given type: one, or
// for I8 two, codes symmetric per row of the first dimension and their scales.
// F32, F16 (an overflow is an error), BF16 and I8 are offered; a NaN or Inf is an error.
func FromFloat32(name string, data []float32, shape []int, as DType) ([]Tensor, error) {
	if n, ok := elements(shape, 4); !ok || n != len(data) {
		return nil, fmt.Errorf("tensor %s: %d elements for shape %v", name, len(data), shape)
	}
	for i, v := range data {
		if v-v != 0 || (as == F16 && floatToHalf(v)&0x7fff == 0x7c00) {
			return nil, fmt.Errorf("tensor %s: element %d is %v, not to be kept as %s", name, i, v, as)
		}
	}
	t := Tensor{Name: name, DType: as, Shape: shape}
	switch as {
	case F32:
		for _, v := range data {
			t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
		}
	case F16:
		for _, v := range data {
			t.Data = binary.LittleEndian.AppendUint16(t.Data, floatToHalf(v))
		}
	case BF16:
		for _, v := range data {
			t.Data = binary.LittleEndian.AppendUint16(t.Data, floatToBF16(v))
		}
	case I8:
		return quantise(t, data)
	default:
		return nil, fmt.Errorf("tensor %s: cannot be written as %q", name, as)
	}
	return []Tensor{t}, nil
}

// quantise uses the scale m/127 of each row, as the int8 precision does.
func quantise(t Tensor, data []float32) ([]Tensor, error) {
	if len(t.Shape) < 2 || t.Shape[0] == 0 {
		return nil, fmt.Errorf("tensor %s: int8 wants rows, not shape %v", t.Name, t.Shape)
	}
	rows := t.Shape[0]
	cols := len(data) / rows
	scales := Tensor{Name: t.Name + scaleSuffix, DType: F32, Shape: []int{rows}}
	for r := range rows {
		row := data[r*cols : (r+1)*cols]
		m := float32(0)
		for _, v := range row {
			m = max(m, v, -v)
		}
		scale, inverse := float32(0), float32(0)
		if m >= 1e-30 {
			scale, inverse = m/127, 127/m
		}
		for _, v := range row {
			q := math.RoundToEven(float64(v * inverse))
			t.Data = append(t.Data, byte(int8(max(-127, min(127, q)))))
		}
		scales.Data = binary.LittleEndian.AppendUint32(scales.Data, math.Float32bits(scale))
	}
	return []Tensor{t, scales}, nil
}
