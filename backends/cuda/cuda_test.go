//go:build cuda

package cuda

import (
	"testing"

	"dynvit/backends/backendtest"
)

// TestConformance runs the suite on each fake device, with -short on one.
func TestConformance(t *testing.T) {
	list := profiles
	if testing.Short() {
		list = []string{"orin"}
	}
	for _, profile := range list {
		t.Run(profile, func(t *testing.T) { backendtest.Run(t, openFake(t, profile)) })
	}
}
