//go:build !cuda

package cuda

import (
	"fmt"

	"dynvit/backends"
)

// Open returns an error that wraps backends.ErrUnavailable.
func Open(backends.Options) (backends.Backend, error) {
	return nil, fmt.Errorf("%w: built without the cuda tag", backends.ErrUnavailable)
}
