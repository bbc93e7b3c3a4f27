//go:build arm64 && !purego

package neon

const built = true // the kernels are in this test
