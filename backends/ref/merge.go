package ref

import (
	"fmt"
	"math"
	"slices"

	"dynvit/backends"
)

func (r *ref) Match(kept, groups backends.Index, qkv backends.Tensor, heads int, score backends.Tensor, logs bool, drop int, order backends.Tensor, turn int) {
	n, stay := qkv.Rows, kept.N-1
	need("Match", heads > 0 && qkv.Cols%(3*heads) == 0, "qkv is not [n, 3·heads·width]")
	need("Match", score.Rows == n && score.Cols == 1 && groups.N == n && order.Rows == n, "shapes differ")
	need("Match", turn >= 0 && turn < order.Cols, "no such order")
	need("Match", stay >= 1 && stay <= n && drop >= 0 && drop <= n-stay, "more rows than there are")
	need("Match", (n-drop)/2 <= stay, "more rows are to go than there are sources")
	scores := make([]float64, n)
	for i, v := range score.Host {
		scores[i] = float64(v)
	}
	goes := slices.Repeat([]int{-1}, n) // the row that a row's patch lives on in
	survivors := best(scores, n-drop)
	for _, row := range survivors {
		goes[row] = row
	}
	moving := len(survivors) - stay
	sources, targets := halve(survivors, order, turn)
	target, alike := mostAlike(directions(qkv, heads), sources, targets)
	for i := range alike {
		alike[i] = -math.Max(1-alike[i], leastApart) * root(scores[sources[i]], logs)
	}
	for _, i := range best(alike, moving) {
		goes[sources[i]] = target[i]
	}
	number(kept.Host, groups.Host, goes)
}

// leastApart is what two keys are apart that are the same but for rounding.
const leastApart = 1e-6

// root is that of what a score says a patch is worth.
func root(score float64, logs bool) float64 {
	if logs {
		return math.Exp(score / 2)
	}
	return math.Sqrt(score)
}

// best are the numbers of the n highest scores, ascending.
func best(scores []float64, n int) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return descending(scores[i], scores[j]) })
	order = order[:n]
	slices.Sort(order)
	return order
}

// halve makes the half of the rows that is highest by a column of order targets.
func halve(rows []int, order backends.Tensor, turn int) (sources, targets []int) {
	scores := make([]float64, len(rows))
	for i, at := range rows {
		scores[i] = float64(row(order, at)[turn])
	}
	isTarget := make([]bool, len(rows))
	for _, i := range best(scores, len(rows)/2) {
		isTarget[i] = true
	}
	for i, at := range rows {
		if isTarget[i] {
			targets = append(targets, at)
		} else {
			sources = append(sources, at)
		}
	}
	return sources, targets
}

// directions are the keys' means over the heads, of length 1, or 0.
func directions(qkv backends.Tensor, heads int) [][]float64 {
	c := qkv.Cols / 3
	width := c / heads
	all := make([][]float64, qkv.Rows)
	for i := range all {
		all[i] = make([]float64, width)
		for j, v := range row(qkv, i)[c : 2*c] {
			all[i][j%width] += float64(v)
		}
		length := 0.0
		for _, v := range all[i] {
			length += float64(v * v)
		}
		length = math.Sqrt(length)
		for j := range all[i] {
			if length < 1e-30 {
				all[i][j] = 0
			} else {
				all[i][j] /= length
			}
		}
	}
	return all
}

// mostAlike finds the target of each source, and how alike they are.
func mostAlike(directions [][]float64, sources, targets []int) (target []int, alike []float64) {
	for _, from := range sources {
		most, at := math.NaN(), -1
		for _, to := range targets {
			similarity := 0.0
			for j, v := range directions[from] {
				similarity += float64(v * directions[to][j])
			}
			if at < 0 || descending(similarity, most) < 0 {
				most, at = similarity, to
			}
		}
		target, alike = append(target, at), append(alike, most)
	}
	return target, alike
}

// number writes the rows that stay, and for each row which of them its patch lives on in.
func number(kept, groups []int32, goes []int) {
	places, at := make([]int32, len(goes)), 0
	for row, to := range goes {
		if to == row {
			places[row] = int32(at)
			at++
			kept[at] = int32(1 + row)
		}
	}
	kept[0] = 0
	for row, to := range goes {
		groups[row] = -1
		if to >= 0 {
			groups[row] = places[to]
		}
	}
}

func (r *ref) Merge(dst, total, x, sizes backends.Tensor, groups backends.Index) {
	need("Merge", dst.Cols == x.Cols && total.Rows == dst.Rows && total.Cols == 1 && groups.N == x.Rows, "shapes differ")
	need("Merge", sizes.IsZero() || sizes.Rows == x.Rows && sizes.Cols == 1, "sizes are not [n, 1]")
	sums := make([]float64, len(dst.Host))
	clear(total.Host)
	for i, g := range groups.Host {
		if g < 0 {
			continue
		}
		if int(g) >= dst.Rows {
			if r.err == nil {
				r.err = fmt.Errorf("ref: Merge: row %d of %d", g, dst.Rows)
			}
			continue
		}
		size := float32(1)
		if !sizes.IsZero() {
			size = sizes.Host[i]
		}
		total.Host[g] += size
		for j, v := range row(x, i) {
			sums[int(g)*x.Cols+j] += float64(float64(size) * float64(v))
		}
	}
	for i, sum := range sums {
		dst.Host[i] = 0
		if size := total.Host[i/dst.Cols]; size > 0 {
			dst.Host[i] = float32(sum / float64(size))
		}
	}
}
