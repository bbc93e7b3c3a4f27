//go:build !amd64 || purego

package avx2

const built = false // no kernels are in this test
