package kernels

import (
	"encoding/binary"
	"math"

	"dynvit/backends"
)

// A tile of packed weights: 64 outputs, 64 bytes of inputs each.
const (
	tileOutputs = 64
	tileRow     = 64
	tileBytes   = tileOutputs * tileRow
)

// Packed is a weight [out, in] as gemm reads it.
type Packed struct {
	Data  []byte    // tiles: ceil(out/64) strips of ceil(in·size/64) tiles; zeros behind out and in
	Scale []float32 // [out], int8 only
	Sums  []int32   // [out], int8 only: of each output's codes
}

// Pack lays a row-major weight of finite numbers out in tiles, rounded to p as backends/ref
// does it.
func Pack(w []float32, out, in int, p backends.Precision) Packed {
	strip := tilesOf(in, p) * tileBytes
	packed := Packed{Data: make([]byte, (out+tileOutputs-1)/tileOutputs*strip)}
	if p == backends.Int8 {
		packed.Scale, packed.Sums = make([]float32, out), make([]int32, out)
	}
	row, codes := make([]byte, strip/tileOutputs), make([]int8, in)
	for o := range out {
		values := w[o*in : (o+1)*in]
		if p == backends.Int8 {
			packed.Scale[o], packed.Sums[o] = quantize(codes, values)
			for i, c := range codes {
				row[i] = byte(c)
			}
		} else {
			encode(row, values, p)
		}
		to := packed.Data[o/tileOutputs*strip+o%tileOutputs*tileRow:]
		for i := 0; i < len(row); i += tileRow {
			copy(to[i*tileOutputs:], row[i:i+tileRow])
		}
	}
	return packed
}

// Size is how many bytes a number of a packed weight takes.
func Size(p backends.Precision) int {
	switch p {
	case backends.F32:
		return 4
	case backends.BF16, backends.F16:
		return 2
	}
	return 1
}

// tilesOf is how many tiles a strip of in inputs takes.
func tilesOf(in int, p backends.Precision) int { return (in*Size(p) + tileRow - 1) / tileRow }

func quantize(codes []int8, row []float32) (scale float32, sum int32) {
	scale, _ = backends.QuantizeRow(codes, row)
	for _, c := range codes {
		sum += int32(c)
	}
	return scale, sum
}

// encode writes numbers as p has them in memory, little-endian.
func encode(dst []byte, row []float32, p backends.Precision) {
	for i, v := range row {
		switch p {
		case backends.F32:
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		case backends.BF16:
			binary.LittleEndian.PutUint16(dst[2*i:], uint16(math.Float32bits(backends.RoundBF16(v))>>16))
		case backends.F16:
			binary.LittleEndian.PutUint16(dst[2*i:], half(backends.RoundF16(v)))
		}
	}
}

// half is the IEEE half of a finite number that is one.
func half(v float32) uint16 {
	bits := math.Float32bits(v)
	sign := uint16(bits >> 16 & 0x8000)
	if abs := math.Abs(float64(v)); abs < 0x1p-14 {
		return sign | uint16(abs*(1<<24)) // a multiple of 2^-24
	}
	return sign | uint16((bits&0x7fffffff-112<<23)>>13) // exponents begin at -14, not at -126
}
