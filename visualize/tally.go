package visualize

import (
	"fmt"
	"math"
)

// Tally counts how often each position is kept after each stage. The zero Tally is
// ready to use.
type Tally struct {
	Grid   int     // positions a side
	Looks  int     // pictures counted
	Counts [][]int // by stage and position, in raster order
}

// Add counts a look. All looks of a Tally are of one model and plan.
func (t *Tally) Add(l *Look) {
	if t.Counts == nil {
		t.Grid = l.Grid
		t.Counts = make([][]int, len(l.Kept))
		for i := range t.Counts {
			t.Counts[i] = make([]int, l.Grid*l.Grid)
		}
	}
	t.Looks++
	for stage, kept := range l.Kept {
		for _, i := range kept {
			t.Counts[stage][i]++
		}
	}
}

// Stage is what a Tally says of one stage. Shares are 0 to 1.
type Stage struct {
	Kept   float64   `json:"kept"`   // share of all positions
	Centre float64   `json:"centre"` // of those in the middle half of rows and of columns
	Border float64   `json:"border"` // of the outermost ring
	Ratio  *float64  `json:"ratio"`  // centre by border; null where no border patch was ever kept
	Map    []float64 `json:"map"`    // of each position, in raster order
}

// String is one line.
func (s Stage) String() string {
	text := fmt.Sprintf("%.0f %% kept; centre %.0f %%, border %.0f %%", 100*s.Kept, 100*s.Centre, 100*s.Border)
	if s.Ratio != nil {
		text += fmt.Sprintf(", ratio %.2f", *s.Ratio)
	}
	return text
}

// Stages sums up. There must be a look.
func (t *Tally) Stages() []Stage {
	list := make([]Stage, len(t.Counts))
	for i, counts := range t.Counts {
		s := &list[i]
		for _, n := range counts {
			s.Map = append(s.Map, float64(n)/float64(t.Looks))
		}
		s.Kept = t.mean(s.Map, func(int, int) bool { return true })
		s.Centre = t.mean(s.Map, t.centre)
		s.Border = t.mean(s.Map, t.border)
		if s.Border > 0 {
			ratio := s.Centre / s.Border
			s.Ratio = &ratio
		}
	}
	return list
}

// mean is over the positions that in picks.
func (t *Tally) mean(shares []float64, in func(row, column int) bool) float64 {
	sum, n := 0.0, 0
	for i, share := range shares {
		if in(i/t.Grid, i%t.Grid) {
			sum, n = sum+share, n+1
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// centre reports whether a position lies in the middle half of rows and of columns.
func (t *Tally) centre(row, column int) bool {
	off := func(i int) float64 { return math.Abs(float64(i) + 0.5 - float64(t.Grid)/2) }
	return max(off(row), off(column)) < float64(t.Grid)/4
}

// border reports whether a position lies on the edge.
func (t *Tally) border(row, column int) bool {
	return min(row, column) == 0 || max(row, column) == t.Grid-1
}
