package preprocess

// inAssembly chooses the kernels in assembly, each of which does the bulk of a Go
// function here and gives the same bytes.
var inAssembly = assembled()

// slack is what buffers have behind their end for the kernels to read or spoil.
const slack = 16

// Biases of triangle, whose sums are four times too large where there is one
// row only.
const (
	bothEven, bothOdd     = 8, 7
	acrossEven, acrossOdd = 4, 8
)
