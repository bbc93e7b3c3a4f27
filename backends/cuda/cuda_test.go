//go:build cuda

package cuda

import (
	"testing"

	"dynvit/backends/backendtest"
)

// TestConformance runs the suite on each fake device.
func TestConformance(t *testing.T) {
	for _, profile := range profiles {
		t.Run(profile, func(t *testing.T) { backendtest.Run(t, openFake(t, profile)) })
	}
}
