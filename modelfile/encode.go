package modelfile

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"dynvit/internal/finite"
)

// scaleSuffix names the F32 [out] scales that belong to an I8 [out, in] tensor.
const scaleSuffix = ".scale"

// FromFloat32 makes the tensors that hold data [shape] as F32, F16, BF16 or I8,
// rounded to nearest even: one tensor, or for I8 two, the codes (symmetric per row
// of the first dimension) and their scales under name + ".scale". A NaN or Inf,
// and a value that the type would turn into Inf, is an error. shape is kept, data is not.
func FromFloat32(name string, data []float32, shape []int, as DType) ([]Tensor, error) {
	if n, ok := elements(shape, 4); !ok || n != len(data) {
		return nil, fmt.Errorf("tensor %s: %d elements for shape %v", name, len(data), shape)
	}
	for i, v := range data {
		if finite.Not(v) || overflows(v, as) {
			return nil, fmt.Errorf("tensor %s: element %d is %v, not to be kept as %s", name, i, v, as)
		}
	}
	t := Tensor{Name: name, DType: as, Shape: shape, Data: make([]byte, 0, len(data)*as.Size())}
	switch as {
	case F32:
		t.Data = appendFloats(t.Data, data)
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

// overflows reports whether a finite v has no finite neighbour in the type.
func overflows(v float32, as DType) bool {
	switch as {
	case F16:
		return floatToHalf(v)&0x7fff == 0x7c00
	case BF16:
		return floatToBF16(v)&0x7fff == 0x7f80
	}
	return false
}

func appendFloats(b []byte, data []float32) []byte {
	for _, v := range data {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// quantise fills t with int8 codes and gives it and its scales.
func quantise(t Tensor, data []float32) ([]Tensor, error) {
	if len(t.Shape) < 2 || len(data) == 0 {
		return nil, fmt.Errorf("tensor %s: int8 wants rows, not shape %v", t.Name, t.Shape)
	}
	var scales []float32
	for row := range slices.Chunk(data, len(data)/t.Shape[0]) {
		var scale float32
		t.Data, scale = appendCodes(t.Data, row)
		scales = append(scales, scale)
	}
	s := Tensor{Name: t.Name + scaleSuffix, DType: F32, Shape: []int{len(scales)}, Data: appendFloats(nil, scales)}
	return []Tensor{t, s}, nil
}

// appendCodes quantises a row as the int8 precision does: scale m/127 of its
// largest magnitude m, codes rounded to nearest even; a row of nothing but dust
// gets codes and scale 0, whose inverse would overflow.
func appendCodes(b []byte, row []float32) ([]byte, float32) {
	m := float32(0)
	for _, v := range row {
		m = max(m, v, -v)
	}
	var scale, inverse float32
	if m >= 1e-30 {
		scale, inverse = m/127, 127/m
	}
	for _, v := range row {
		q := math.RoundToEven(float64(v * inverse))
		b = append(b, byte(int8(max(-127, min(127, q)))))
	}
	return b, scale
}
