// Package all is the list of backends, in order of preference. Only cmd/dynvitd
// (and tests) import it; everybody else is handed the list or an opened backend.
package all

import (
	"dynvit/backends"
	"dynvit/backends/avx2"
	"dynvit/backends/avx512"
	"dynvit/backends/cuda"
	"dynvit/backends/internal/host"
	"dynvit/backends/neon"
	"dynvit/backends/ref"
)

// List returns every backend that this program knows, the preferred first. ref
// serves only by name.
func List() []backends.Candidate {
	return []backends.Candidate{
		{Name: backends.CUDA, Open: cuda.Open, Auto: true},
		{Name: backends.AVX512, Open: avx512.Open, Auto: true},
		{Name: backends.AVX2, Open: avx2.Open, Auto: true},
		{Name: backends.NEON, Open: neon.Open, Auto: true},
		{Name: backends.Portable, Open: host.OpenPortable, Auto: true},
		{Name: backends.Ref, Open: ref.Open},
	}
}
