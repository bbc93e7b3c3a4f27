//go:build !amd64 || purego

package avx512

const built = false // no kernels are in this test
