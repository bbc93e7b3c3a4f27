//go:build (!amd64 && !arm64) || purego

package baseline

func assembled() bool { return false }

func kernel8([]byte, int, *[64]int32) { panic("baseline: no kernels") }

func kernel4([]byte, int, *[64]int32) { panic("baseline: no kernels") }
