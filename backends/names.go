package backends

// The names of backends, as a user writes them after --backend.
const (
	Ref      = "ref"
	Portable = "portable"
	AVX512   = "avx512"
	AVX2     = "avx2"
	NEON     = "neon"
	CUDA     = "cuda"
)

// Names are those of all backends, whether this machine serves them or not.
func Names() []string { return []string{Ref, Portable, AVX512, AVX2, NEON, CUDA} }
