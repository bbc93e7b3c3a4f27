//go:build !arm64 || purego

package neon

const built = false // no kernels are in this test
