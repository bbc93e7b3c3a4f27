package host

import (
	"fmt"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
)

// Require reports, as an error that wraps backends.ErrUnavailable, which of the
// features the processor (with the operating system's consent) lacks or the
// options disable.
func Require(o backends.Options, features ...cpuid.FeatureID) error {
	var missing []string
	for _, f := range features {
		name := strings.ToLower(f.String())
		switch {
		case !cpuid.CPU.Supports(f):
			missing = append(missing, name)
		case slices.Contains(o.Disable, name):
			missing = append(missing, name+" (disabled)")
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%w: cpu lacks %s", backends.ErrUnavailable, strings.Join(missing, ", "))
}

// NotBuilt is the refusal of a backend whose kernels this version does not have.
func NotBuilt(kernels string) error {
	return fmt.Errorf("%w: this version has no %s kernels", backends.ErrUnavailable, kernels)
}
