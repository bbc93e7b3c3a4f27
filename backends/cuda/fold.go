package cuda

import (
	"slices"

	"dynvit/backends/cuda/device"
)

// fold leaves out of a recording what need not be started by itself. The bits are those
// of the steps as they were taken down.
func (b *backend) fold(steps []step) []step {
	for i := range steps {
		if steps[i].kernel == layerNorm && foldNorm(steps, i) {
			steps[i].kernel = entries // none
		}
	}
	steps = slices.DeleteFunc(steps, func(s step) bool { return s.kernel == entries })
	for i := range steps[:max(0, len(steps)-1)] {
		b.foldRanges(&steps[i], &steps[i+1])
	}
	return steps
}

// Places of layernorm's arguments.
const normX, normGamma, normBeta, normEps, normCols = 0, 1, 2, 4, 6

// foldNorm has the products behind a LayerNorm normalise their rows themselves, if
// they alone read what it writes before that is overwritten, and it is never needed as it is.
func foldNorm(steps []step, i int) bool {
	norm := &steps[i]
	x, y := norm.reads[0], norm.writes[0]
	if x.overlaps(y) {
		return false
	}
	var readers []*step
	changed := false // x
	for j := i + 1; j < len(steps); j++ {
		s := &steps[j]
		if s.reading(y) {
			if changed || s.writing(x) || !s.normalises(norm) {
				return false
			}
			readers = append(readers, s)
		}
		if s.writing(y) {
			if s.writes[0].at != y.at {
				return false
			}
			for _, r := range readers {
				r.normalise(norm)
			}
			return true
		}
		changed = changed || s.writing(x)
	}
	return false
}

func (s *step) reading(what span) bool { return slices.ContainsFunc(s.reads[:], what.overlaps) }
func (s *step) writing(what span) bool { return slices.ContainsFunc(s.writes[:], what.overlaps) }

// normalises reports whether s is a product that can do what norm does to its operand.
func (s *step) normalises(norm *step) bool {
	if s.kernel > gemmInt8 || slices.ContainsFunc(s.reads[1:], norm.writes[0].overlaps) {
		return false
	}
	rowBytes := device.Address(norm.args[normCols] * elementBytes)
	return s.args[argPacked] == 0 && s.args[argGamma] == 0 && s.args[argRanges] == 0 && s.args[argIn] == norm.args[normCols] &&
		s.reads[0].at >= norm.writes[0].at && (s.reads[0].at-norm.writes[0].at)%rowBytes == 0
}

// normalise has s, which normalises(norm), read the rows that norm would.
func (s *step) normalise(norm *step) {
	s.reads[0].at += norm.reads[0].at - norm.writes[0].at
	s.args[argX] = at(s.reads[0].at)
	s.args[argGamma], s.args[argBeta], s.args[argEps] = norm.args[normGamma], norm.args[normBeta], norm.args[normEps]
}

// foldRanges has attention leave the ranges of its rows to the int8 product behind it,
// which would else read every row once more.
func (b *backend) foldRanges(from, to *step) {
	mixes := from.kernel >= attentionF32 && from.kernel <= attentionF16
	if !mixes || to.kernel != gemmInt8 || to.reads[0] != from.writes[0] || to.args[argGamma] != 0 || to.args[argRanges] != 0 {
		return
	}
	n := from.grid[1] * from.grid[2]
	bytes := int(uint32(to.args[argRows])) * n * rangeBytes
	left := span{b.use(&b.ranges, bytes), bytes}
	from.args[argLeft], from.writes[2] = at(left.at), left
	to.args[argRanges], to.args[argParts], to.reads[2] = at(left.at), number(n), left
}
