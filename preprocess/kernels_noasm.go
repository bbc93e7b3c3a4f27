//go:build (!amd64 && !arm64) || purego

package preprocess

func assembled() bool { return false }

// conversion would convert pixels; none are.
type conversion struct{}

var convertYCC, convertYUYV, convertNV12, convertI420 *conversion

func (*conversion) pixels([]byte, int, []byte, []byte, []byte) int { return 0 }

func spread(_, _ []byte) int { return 0 }

func triangle(_, _, _ []byte, _ int, _, _ uint16) int { return 0 }

func (*axis) widen() {}

func (*axis) behind() int { return 0 }

func (*axis) across(_, _, _, _ []byte) int { return 0 }

func (*axis) bands([]byte, int, []byte, int, int, *[]byte) int { return 0 }

func down(_, _ []byte, _ []int32) bool { return false }

func sumRows([]uint16, []byte, int, int) bool { return false }

func differing(a, b *Thumbnail, least int) int { return differingCells(a, b, least) }
