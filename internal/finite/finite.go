// Package finite finds numbers that are none.
package finite

import "slices"

// IndexNot is where the first NaN or Inf is, or -1. It takes eight at a time: a call an element
// took a tenth of opening DeiT-S.
func IndexNot(x []float32) int {
	whole := len(x) &^ 7
	for i := 0; i < whole; i += 8 {
		v := (*[8]float32)(x[i:])
		if (v[0]-v[0])+(v[1]-v[1])+(v[2]-v[2])+(v[3]-v[3])+((v[4]-v[4])+(v[5]-v[5])+(v[6]-v[6])+(v[7]-v[7])) != 0 {
			return i + slices.IndexFunc(v[:], Not)
		}
	}
	if i := slices.IndexFunc(x[whole:], Not); i >= 0 {
		return whole + i
	}
	return -1
}

// Not reports whether v is NaN or Inf.
func Not(v float32) bool { return v-v != 0 }
