//go:build !purego

package baseline

import (
	"testing"

	"dynvit/internal/guardpage"
)

// TestConstantsAtPages: the table that the kernels read lies right below a page that faults.
func TestConstantsAtPages(t *testing.T) {
	defer func(c *constants) { avx2 = c }(avx2)
	avx2 = &guardpage.Copied(t, []constants{*avx2})[0]
	TestInverseAtPages(t)
}
