// Package cuda is the place of the GPU backend. Without the build tag cuda, and
// in this version always, it refuses.
package cuda

import (
	"fmt"

	"dynvit/backends"
)

// Open returns an error that wraps backends.ErrUnavailable.
func Open(backends.Options) (backends.Backend, error) {
	return nil, fmt.Errorf("%w: built without the cuda tag", backends.ErrUnavailable)
}
