package stages

import "slices"

// evenly are sets of stages at even distances: the first at one of five depths in the front
// half, the others one, two or three twelfths of the depth apart, up to the last block but one.
// What the last block merges saves next to nothing.
func evenly(depth int) [][]int {
	var sets [][]int
	for start := 1; start <= 5; start++ {
		for gap := 1; gap <= 3; gap++ {
			var at []int
			for i := start; ; i += gap {
				block := (i*depth + 6) / 12
				if block > depth-2 {
					break
				}
				if len(at) == 0 || block > at[len(at)-1] {
					at = append(at, block)
				}
			}
			sets = add(sets, at)
		}
	}
	return sets
}

// neighbours are the sets that differ in one block: left out, added, or moved to the next one.
func neighbours(at []int, depth int) [][]int {
	var sets [][]int
	has := func(block int) bool { return slices.Contains(at, block) }
	for i, block := range at {
		without := slices.Delete(slices.Clone(at), i, i+1)
		sets = add(sets, without)
		for _, to := range []int{block - 1, block + 1} {
			if to >= 1 && to <= depth-2 && !has(to) {
				sets = add(sets, sorted(without, to))
			}
		}
	}
	for block := 1; block <= depth-2; block++ {
		if !has(block) {
			sets = add(sets, sorted(at, block))
		}
	}
	return sets
}

func sorted(at []int, with int) []int {
	all := append(slices.Clone(at), with)
	slices.Sort(all)
	return all
}

// add appends a set unless it is there, or empty.
func add(sets [][]int, at []int) [][]int {
	if len(at) == 0 || slices.ContainsFunc(sets, func(s []int) bool { return slices.Equal(s, at) }) {
		return sets
	}
	return append(sets, at)
}
