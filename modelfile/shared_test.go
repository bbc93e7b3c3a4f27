package modelfile

import (
	"os"
	"path/filepath"
	"testing"
)

// shared is the path of a file beside the checkout, in ../shared. A test that
// needs one which is not there is skipped, or fails where DYNVIT_REQUIRE=1.
func shared(t *testing.T, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{"..", "..", "shared"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("DYNVIT_REQUIRE") == "1" {
			t.Fatal("needs ", path, ": ", err)
		}
		t.Skip("needs ", path)
	}
	return path
}
