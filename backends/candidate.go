package backends

import (
	"fmt"
	"slices"
	"strings"
)

// Candidate is one entry of the ordered list in backends/all.
type Candidate struct {
	Name string
	// Open returns a Backend or an error that wraps ErrUnavailable.
	Open func(Options) (Backend, error)
	// Auto is false for backends that only serve when named (ref).
	Auto bool
}

// Pick opens the candidate of a name or, for "auto" and "", the first that serves and is
// picked unnamed. why is what it says of itself, behind what those before it lack.
func Pick(list []Candidate, name string, o Options) (be Backend, why string, err error) {
	var names, refused []string
	for _, c := range list {
		names = append(names, c.Name)
		if name != c.Name && (name != "" && name != "auto" || !c.Auto) {
			continue
		}
		be, err := c.Open(o)
		if err != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", c.Name, err))
			continue
		}
		return be, strings.Join(append(refused, be.Facts().Why), "; "), nil
	}
	if len(refused) > 0 {
		return nil, "", fmt.Errorf("backend %s", strings.Join(refused, "; "))
	}
	return nil, "", fmt.Errorf("backend %q: want auto, %s", name, strings.Join(names, ", "))
}

// Without returns the list with one that refuses, for a reason that Pick tells.
func Without(list []Candidate, name string, why error) []Candidate {
	rest := slices.Clone(list)
	for i := range rest {
		if rest[i].Name == name {
			rest[i].Open = func(Options) (Backend, error) { return nil, why }
		}
	}
	return rest
}
