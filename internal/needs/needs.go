// Package needs is how a test asks for what not every machine has. Without it the test
// is skipped by a line that names it, or fails where DYNVIT_REQUIRE is set.
package needs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Missing ends the test for want of what.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("DYNVIT_REQUIRE") != "" {
		t.Fatal("needs " + what)
	}
	t.Skip("needs " + what)
}

// Program is the path of a program of a Debian package.
func Program(t testing.TB, name, debianPackage string) string {
	t.Helper()
	for _, n := range []string{name, "/usr/sbin/" + name} { // sbin is not in everybody's PATH
		if path, err := exec.LookPath(n); err == nil {
			return path
		}
	}
	Missing(t, name+": install the Debian package "+debianPackage)
	return ""
}

// Shared is the path of a file or folder of the reference data, in ../shared beside the
// checkout.
func Shared(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{root(t), "..", "shared"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		Missing(t, "../shared: "+err.Error())
	}
	return path
}

// root is the folder of go.mod, above the test's own.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.mod above the test's folder")
	return ""
}
