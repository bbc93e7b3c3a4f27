//go:build amd64 && !purego

package avx2

const built = true // the kernels are in this test
