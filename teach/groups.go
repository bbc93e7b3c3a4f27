package teach

import (
	"cmp"
	"math"
	"slices"
)

// burst is the cosine of two pictures' features from which on they count as two of one
// scene. Of 1,000 pictures of Imagenette, none of them twins, the nearest of their class is
// beyond it for one in five hundred; of frames a second apart of three films half are (DeiT-Tiny).
const burst = 0.95

// groupsOf numbers the scenes of the pictures: those of a class that look alike belong to
// one, so that none is judged by its own twin. A class keeps as many scenes as there
// are to be folds, the least alike ones, where it has the pictures; crowded are the
// classes for which that parted twins.
func groupsOf(s *sight, folds int) (group []int, crowded []int) {
	group = make([]int, len(s.Pictures))
	next := 0
	for class := range s.Labels {
		var members []int
		for i, p := range s.Pictures {
			if p.Class == class {
				members = append(members, i)
			}
		}
		sets, parted := joined(members, spanning(s, members), folds)
		if parted {
			crowded = append(crowded, class)
		}
		for _, set := range sets {
			for _, i := range set {
				group[i] = next
			}
			next++
		}
	}
	return group, crowded
}

// link joins two of a class's members, by their place among them.
type link struct {
	a, b int
	cos  float64
}

// spanning is the tree of the closest links that holds all members (Prim): all that
// single linkage needs.
func spanning(s *sight, members []int) (tree []link) {
	unit := make([][]float64, len(members))
	for i, picture := range members {
		unit[i] = direction(s.row(picture, 0))
	}
	best := make([]link, len(members)) // from the tree to each that is not in it
	for i := range best {
		best[i] = link{0, i, -2}
	}
	in, last := make([]bool, len(members)), 0
	for range len(members) - 1 {
		in[last] = true
		at := -1
		for i := range members {
			if in[i] {
				continue
			}
			if c := dot(unit[last], unit[i]); c > best[i].cos {
				best[i] = link{last, i, c}
			}
			if at < 0 || best[i].cos > best[at].cos {
				at = i
			}
		}
		tree, last = append(tree, best[at]), at
	}
	return tree
}

// joined makes sets of members by the links beyond burst, the closest first, until only
// so many sets are left.
func joined(members []int, tree []link, least int) (sets [][]int, parted bool) {
	slices.SortStableFunc(tree, func(a, b link) int { return cmp.Compare(b.cos, a.cos) })
	of, left := make([]int, len(members)), len(members)
	for i := range of {
		of[i] = i
	}
	for _, l := range tree {
		if l.cos < burst {
			break
		}
		if left <= least {
			parted = true
			break
		}
		from, to := of[l.b], of[l.a]
		for i, set := range of {
			if set == from {
				of[i] = to
			}
		}
		left--
	}
	place := map[int]int{}
	for i, set := range of {
		at, known := place[set]
		if !known {
			at = len(sets)
			place[set], sets = at, append(sets, nil)
		}
		sets[at] = append(sets[at], members[i])
	}
	return sets, parted
}

// foldsOf gives each picture its fold: groups stay whole, and each class is spread evenly,
// the largest groups first.
func foldsOf(s *sight, group []int, folds int) []int {
	members := make([][]int, slices.Max(group)+1)
	for i, g := range group {
		members[g] = append(members[g], i)
	}
	slices.SortStableFunc(members, func(a, b []int) int { return cmp.Compare(len(b), len(a)) })
	fold := make([]int, len(s.Pictures))
	total, own := make([]int, folds), make([][]int, len(s.Labels))
	for class := range own {
		own[class] = make([]int, folds)
	}
	for _, set := range members {
		count := own[s.Pictures[set[0]].Class]
		at := 0
		for f := range folds {
			if c := cmp.Or(cmp.Compare(count[f], count[at]), cmp.Compare(total[f], total[at])); c < 0 {
				at = f
			}
		}
		count[at], total[at] = count[at]+len(set), total[at]+len(set)
		for _, i := range set {
			fold[i] = at
		}
	}
	return fold
}

// direction is a copy of length 1; a vector of zeros stays one.
func direction(v []float64) []float64 {
	length := math.Sqrt(dot(v, v))
	if length == 0 {
		length = 1
	}
	unit := make([]float64, len(v))
	for i, x := range v {
		unit[i] = x / length
	}
	return unit
}

func dot(a, b []float64) (sum float64) {
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}
