package tuning

import (
	"fmt"

	"dynvit/calibrate"
	"dynvit/vit"
)

// Keeps is the grid that calibration tries where nothing is named.
func Keeps() []vit.Keep {
	return []vit.Keep{{Ratio: 1}, {Ratio: 0.9}, {Ratio: 0.8}, {Ratio: 0.7}, {Ratio: 0.6}, {Ratio: 0.5}, {Ratio: 0.4}}
}

// Plans are a model's plans for what is asked for. What comes to the same counts,
// as with few patches, is one plan.
func Plans(c Classifier, keeps []vit.Keep) ([]calibrate.Plan, error) {
	var list []calibrate.Plan
	seen := map[string]bool{}
	for _, k := range keeps {
		p, err := c.Plan(k)
		if err != nil {
			return nil, err
		}
		if seen[fmt.Sprint(p.Keep)] {
			continue
		}
		seen[fmt.Sprint(p.Keep)] = true
		tokens := []int{c.Info().Patches + c.Info().Prefix}
		for _, n := range p.Keep {
			tokens = append(tokens, n+c.Info().Prefix)
		}
		list = append(list, calibrate.Plan{KeepRatio: c.Ratio(k, p), Keep: p.Keep, Tokens: tokens, GMACs: float64(c.MACs(p)) / 1e9})
	}
	return list, nil
}
