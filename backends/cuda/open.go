//go:build cuda

package cuda

import (
	"fmt"

	"dynvit/backends"
	"dynvit/backends/cuda/driver"
)

// Open starts the backend on the first GPU, or reports, wrapping
// backends.ErrUnavailable, what is missing. The options have no say.
func Open(backends.Options) (backends.Backend, error) { return open(driver.Library) }

func open(library string) (backends.Backend, error) {
	d, err := driver.Open(library)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
	}
	return New(d)
}
