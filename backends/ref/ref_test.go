package ref_test

import (
	"testing"

	"dynvit/backends/backendtest"
	"dynvit/backends/ref"
)

func TestConformance(t *testing.T) { backendtest.Run(t, ref.Open) }
