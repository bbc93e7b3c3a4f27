// Package all is the list of backends, in order of preference. Only cmd/dynvitd
// (and tests) import it; everybody else is handed the list or an opened backend.
package all

import (
	"dynvit/backends"
	"dynvit/backends/internal/host"
	"dynvit/backends/ref"
)

// List returns every backend that this program knows, the preferred first.
func List() []backends.Candidate {
	return []backends.Candidate{
		{Name: "portable", Open: host.OpenPortable, Auto: true},
		{Name: "ref", Open: ref.Open},
	}
}
