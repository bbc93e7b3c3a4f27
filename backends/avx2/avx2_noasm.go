//go:build !amd64 || purego

package avx2

import (
	"dynvit/backends"
	"dynvit/backends/internal/host"
)

func open(backends.Options) (backends.Backend, error) { return nil, host.NotBuilt("AVX2") }
