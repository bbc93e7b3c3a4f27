package preprocess

// inAssembly chooses the kernels in assembly, each of which does the bulk of a Go
// function here and gives the same bytes.
var inAssembly = assembled()

// slack is what buffers have behind their end for the kernels to read or spoil.
const slack = 16

// inGroups has a kernel do n elements, a group at least: those that fill groups, from element
// 0 on, then the last ones once more with what is left behind them.
func inGroups(n, group int, kernel func(at, groups int)) {
	kernel(0, n/group)
	if n%group != 0 {
		kernel(n-group, 1)
	}
}

// Biases of triangle, whose sums are four times too large where there is one
// row only.
const (
	bothEven, bothOdd     = 8, 7
	acrossEven, acrossOdd = 4, 8
)
