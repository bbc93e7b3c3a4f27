package kerneltest

import (
	"dynvit/backends"
	"dynvit/backends/cuda/kernels"
)

// word16 is a number that p holds, in memory.
func word16(v float32, p backends.Precision) uint16 {
	data := kernels.Pack([]float32{v}, 1, 1, p).Data
	return uint16(data[0]) | uint16(data[1])<<8
}
