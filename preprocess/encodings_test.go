package preprocess

import (
	"testing"

	"dynvit/internal/encodings"
)

// TestEncodings: what the files call the words that Go's assembler does not know is what
// they are.
func TestEncodings(t *testing.T) {
	encodings.Check(t, encodings.ARM64, map[string]int{
		"colour_arm64.s": 200, "triangle_arm64.s": 20, "resample_arm64.s": 150, "thumbnail_arm64.s": 15,
	})
}
