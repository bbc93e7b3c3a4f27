package backendtest

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"dynvit/backends"
)

// Available skips the test where the processor, by /proc/cpuinfo, lacks one of
// the features, or where the kernels are not built in; then the backend must
// refuse. A processor that has them all must open it.
func Available(t *testing.T, open Open, built bool, features ...string) {
	t.Helper()
	be, err := open(backends.Options{Threads: 1})
	if err == nil {
		be.Close()
		return
	}
	if !errors.Is(err, backends.ErrUnavailable) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("refuses with %v, want one line that wraps backends.ErrUnavailable", err)
	}
	data, _ := os.ReadFile("/proc/cpuinfo") // elsewhere there is nothing to compare with
	words := strings.Fields(string(data))
	missing := slices.DeleteFunc(slices.Clone(features), func(f string) bool { return slices.Contains(words, f) })
	if built && len(missing) == 0 {
		t.Fatalf("%v, though /proc/cpuinfo has %s", err, strings.Join(features, ", "))
	}
	t.Skip(err)
}

// Refuses checks that the backend cannot be opened without a feature, and says so.
func Refuses(t *testing.T, open Open, feature string) {
	t.Helper()
	be, err := open(backends.Options{Threads: 1, Disable: []string{feature}})
	if err == nil {
		be.Close()
		t.Errorf("opened without %s", feature)
		return
	}
	if !errors.Is(err, backends.ErrUnavailable) || !strings.Contains(err.Error(), feature) {
		t.Errorf("without %s: %v", feature, err)
	}
}
