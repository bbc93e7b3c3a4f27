//go:build amd64 && !purego

package avx512

const built = true // the kernels are in this test
