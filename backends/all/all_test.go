package all_test

import (
	"slices"
	"testing"

	"dynvit/backends"
	"dynvit/backends/all"
)

// TestNames: the list has every backend that has a name, under the name that it goes by.
func TestNames(t *testing.T) {
	var names []string
	for _, c := range all.List() {
		names = append(names, c.Name)
		be, err := c.Open(backends.Options{Threads: 1})
		if err != nil {
			continue
		}
		if got := be.Facts().Name; got != c.Name {
			t.Errorf("%s calls itself %s", c.Name, got)
		}
		be.Close()
	}
	if want := slices.Sorted(slices.Values(backends.Names())); !slices.Equal(slices.Sorted(slices.Values(names)), want) {
		t.Errorf("listed are %v, named %v", names, want)
	}
}
