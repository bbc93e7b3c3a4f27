package baseline

import (
	"testing"

	"dynvit/internal/encodings"
)

// TestEncodings: what the file calls the words that Go's assembler does not know is what
// they are.
func TestEncodings(t *testing.T) {
	encodings.Check(t, encodings.ARM64, map[string]int{"inverse_arm64.s": 200})
}
