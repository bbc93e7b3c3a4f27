package tuning

import (
	"slices"

	"dynvit/calibrate"
	"dynvit/vit"
)

// Joined are points of models that look at one frame one after another, all at one
// keep ratio.
type Joined struct {
	Points []calibrate.Measured // of the whole frame; what they say of patches is of the first model
	Plans  [][]vit.Plan         // of each point: one a model
}

// Join adds up the points of models, each of which was calibrated by itself. Times are
// sums: of a percentile that is an upper bound. Quality is the mean of the models'.
// A model that has no point at a ratio keeps more.
func Join(models ...[]calibrate.Measured) Joined {
	var j Joined
	for _, ratio := range ratios(models) {
		parts := make([]calibrate.Measured, 0, len(models))
		for _, points := range models {
			if p, ok := atLeast(points, ratio); ok {
				parts = append(parts, p)
			}
		}
		if len(parts) == len(models) {
			j.add(ratio, parts)
		}
	}
	return j
}

// ratios are those of all models, in the order of the first that has them.
func ratios(models [][]calibrate.Measured) (list []float64) {
	for _, points := range models {
		for _, p := range points {
			if !slices.Contains(list, p.KeepRatio) {
				list = append(list, p.KeepRatio)
			}
		}
	}
	return list
}

// atLeast is the point with the least ratio that is no lower.
func atLeast(points []calibrate.Measured, ratio float64) (best calibrate.Measured, ok bool) {
	for _, p := range points {
		if p.KeepRatio >= ratio && (!ok || p.KeepRatio < best.KeepRatio) {
			best, ok = p, true
		}
	}
	return best, ok
}

func (j *Joined) add(ratio float64, parts []calibrate.Measured) {
	sum, plans := parts[0], []vit.Plan{{Keep: parts[0].Keep}}
	for _, p := range parts[1:] {
		sum = both(sum, p)
		plans = append(plans, vit.Plan{Keep: p.Keep})
	}
	sum.KeepRatio = ratio
	sum.Quality = mean(parts)
	j.Points = append(j.Points, sum)
	j.Plans = append(j.Plans, plans)
}

// both is a frame that two models look at.
func both(a, b calibrate.Measured) calibrate.Measured {
	a.GMACs += b.GMACs
	a.P50 += b.P50
	a.P90 += b.P90
	a.P95 += b.P95
	a.P99 += b.P99
	a.CI95.Lo += b.CI95.Lo
	a.CI95.Hi += b.CI95.Hi
	a.Frames, a.Settled = min(a.Frames, b.Frames), a.Settled && b.Settled
	return a
}

// mean is the quality of models whose answers count alike. Points of one model keep
// theirs as it is.
func mean(parts []calibrate.Measured) calibrate.Quality {
	if len(parts) == 1 {
		return parts[0].Quality
	}
	q := calibrate.Quality{Judged: parts[0].Judged} // labels are of one model's classes
	n := float64(len(parts))
	for _, p := range parts {
		q.Judged, q.Broken = min(q.Judged, p.Judged), max(q.Broken, p.Broken)
		q.Agreement += p.Agreement / n
		q.KL += p.KL / n
	}
	return q
}
