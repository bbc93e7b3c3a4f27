//go:build !arm64 || purego

package neon

import (
	"dynvit/backends"
	"dynvit/backends/internal/host"
)

func open(backends.Options) (backends.Backend, error) { return nil, host.NotBuilt("NEON") }
