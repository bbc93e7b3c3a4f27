package teach

import (
	"cmp"
	"math"
	"slices"

	"dynvit/calibrate"
)

// Report is what the held-out pictures say of a head. Rates are 0 to 1.
type Report struct {
	Classes     []Class            `json:"classes"`
	Pictures    int                `json:"pictures"` // learned from
	Skipped     int                `json:"skipped"`  // not to be read
	Scenes      int                `json:"scenes"`   // pictures, those that look alike counted once
	Folds       int                `json:"folds"`
	Accuracy    float64            `json:"accuracy"` // of held-out pictures, dense
	CI95        calibrate.Interval `json:"accuracy_ci95"`
	ByKeep      []AtKeep           `json:"by_keep"`
	Confusion   [][]int            `json:"confusion"` // of a class (row), taken for (column)
	Doubtful    []Doubtful         `json:"doubtful"`
	Curve       []Point            `json:"curve"`
	Expected    *Point             `json:"expected"` // with twice the pictures, or null
	L2          float64            `json:"l2"`
	Temperature float64            `json:"temperature"`
	Threshold   float64            `json:"threshold"` // beyond it a picture is none of these
	Notes       []string           `json:"notes"`
	Remarks     []Remark           `json:"remarks"` // what the notes say, one each, for who says it otherwise
}

// Class is a class of a report.
type Class struct {
	Label    string  `json:"label"`
	Pictures int     `json:"pictures"`
	Scenes   int     `json:"scenes"`
	Recall   float64 `json:"recall"` // share of its held-out pictures that are known as such
}

// AtKeep is the accuracy at a keep ratio.
type AtKeep struct {
	Ratio    float64 `json:"keep_ratio"`
	Accuracy float64 `json:"accuracy"`
}

// Doubtful is a picture that the others contradict: held out, it looked like another
// class than its own.
type Doubtful struct {
	Image string  `json:"image"`
	Label string  `json:"label"` // as it was given
	Looks string  `json:"looks_like"`
	Score float64 `json:"score"` // of that class
}

// mostDoubtful are listed.
const mostDoubtful = 20

func (t *trial) report(l2, temperature float64, h held, group, crowded []int) *Report {
	r := &Report{Pictures: len(t.class), Scenes: slices.Max(group) + 1, Folds: t.folds, L2: l2, Temperature: temperature, Notes: []string{}}
	for plan, ratio := range t.s.ratios {
		r.ByKeep = append(r.ByKeep, AtKeep{ratio, t.accuracy(h, plan)})
	}
	r.Accuracy = r.ByKeep[0].Accuracy
	r.CI95 = calibrate.Wilson(int(math.Round(r.Accuracy*float64(r.Scenes))), r.Scenes)
	r.Confusion = t.confusion(h)
	r.Classes = t.classReports(r.Confusion, group)
	r.Doubtful = t.doubtful(h, temperature)
	r.Remarks = t.remarks(r, crowded)
	for _, remark := range r.Remarks {
		r.Notes = append(r.Notes, remark.String())
	}
	return r
}

// fewPictures of a class are warned of: with five of each a class of Imagenette is told
// from nine others in nine of ten cases, with ten in 19 of 20.
const fewPictures = 10

// guess is the share of the largest class, which who always names it is right in.
func (r *Report) guess() float64 {
	largest := slices.MaxFunc(r.Classes, func(a, b Class) int { return cmp.Compare(a.Pictures, b.Pictures) })
	return float64(largest.Pictures) / float64(r.Pictures)
}

func (t *trial) confusion(h held) [][]int {
	table := make([][]int, t.classes)
	for i := range table {
		table[i] = make([]int, t.classes)
	}
	for i, class := range t.class {
		table[class][best(t.at(h, i, 0))]++
	}
	return table
}

func (t *trial) classReports(confusion [][]int, group []int) []Class {
	list := make([]Class, t.classes)
	seen := map[int]bool{}
	for i, class := range t.class {
		list[class].Pictures++
		if !seen[group[i]] {
			seen[group[i]] = true
			list[class].Scenes++
		}
	}
	for class := range list {
		list[class].Label = t.s.Labels[class]
		list[class].Recall = float64(confusion[class][class]) / float64(list[class].Pictures)
	}
	return list
}

// doubtful lists the pictures that are taken for another class, the surest first.
func (t *trial) doubtful(h held, temperature float64) []Doubtful {
	list := []Doubtful{}
	for i, p := range t.s.Pictures {
		logits := slices.Clone(t.at(h, i, 0))
		looks := best(logits)
		if looks == p.Class {
			continue
		}
		for class := range logits {
			logits[class] /= temperature
		}
		score := math.Exp(-surprise(logits, looks))
		list = append(list, Doubtful{p.Path, t.s.Labels[p.Class], t.s.Labels[looks], score})
	}
	slices.SortStableFunc(list, func(a, b Doubtful) int { return cmp.Compare(b.Score, a.Score) })
	return list[:min(len(list), mostDoubtful)]
}
