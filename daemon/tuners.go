package daemon

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"dynvit/calibrate"
	"dynvit/config"
	"dynvit/lineup"
	"dynvit/tuning"
	"dynvit/vit"
)

// tuners are those of all teams, which go by the same settings. shown, hold and all
// may be called by anyone, the rest by the inference alone.
type tuners struct {
	changed func() // told when what shown returns may have changed; set before the inference runs
	list    atomic.Pointer[[]*tuner]
	asked   map[*lineup.Pass]lineup.Plan // what a new team begins with
}

// newTuners makes a tuner for each team of a configuration.
func newTuners(l config.Latency, a lineup.Asked, cameras []string) *tuners {
	t := &tuners{changed: func() {}, asked: a.Plans}
	t.list.Store(new([]*tuner))
	force := inForce{auto: l.Keep.IsAuto(), budget: l.Budget, percentile: l.Percentile, rate: 1}
	for _, camera := range cameras {
		t.of(lineup.Passes(a.Cameras[camera]), force)
	}
	return t
}

// take makes the tuners of the teams that a configuration has, and forgets the others.
func (t *tuners) take(a lineup.Asked) {
	t.asked = a.Plans
	now := t.shown()
	var used []*tuner
	for _, camera := range slices.Sorted(maps.Keys(a.Cameras)) {
		used = append(used, t.of(lineup.Passes(a.Cameras[camera]), now))
	}
	all := slices.DeleteFunc(slices.Clone(t.all()), func(u *tuner) bool { return !slices.Contains(used, u) })
	t.list.Store(&all)
}

func (t *tuners) all() []*tuner { return *t.list.Load() }

// of is the tuner of a team, made where there is none: force holds then too.
func (t *tuners) of(passes []*lineup.Pass, force inForce) *tuner {
	for _, u := range t.all() {
		if slices.Equal(u.passes, passes) {
			return u
		}
	}
	u := t.begin(passes, force)
	all := append(slices.Clone(t.all()), u)
	t.list.Store(&all)
	return u
}

// begin makes a tuner that follows the budget where its passes are calibrated, or else
// goes by the ratio in force, 0: as the configuration asks.
func (t *tuners) begin(passes []*lineup.Pass, force inForce) *tuner {
	plans, asked := t.asks(passes)
	if force.ratio == 0 || force.auto {
		force.ratio = asked
	}
	force.rate = 1
	u := newTuner(passes, plans, force)
	if force.auto {
		u.followPasses(force.budget) // else as asked until there are points
	} else if force.ratio != asked {
		u.fixRatio(vit.Keep{Ratio: force.ratio}) // else as asked: no model of these has so few patches
	}
	u.changed = func() { t.changed() }
	return u
}

// asks are the plans that the configuration asks of a team, and their ratio.
func (t *tuners) asks(passes []*lineup.Pass) (plans []vit.Plan, ratio float64) {
	ratio = 1
	for _, p := range passes {
		plans = append(plans, t.asked[p].Plan)
		ratio = min(ratio, t.asked[p].Ratio)
	}
	return plans, ratio
}

// shown is what holds of the node. Of several teams it is the least ratio, and the
// least rate.
func (t *tuners) shown() inForce {
	all := t.all()
	force := all[0].shown()
	for _, u := range all[1:] {
		one := u.shown()
		force.ratio, force.rate = min(force.ratio, one.ratio), min(force.rate, one.rate)
	}
	return force
}

// each has all tuners do something, also after one has failed.
func (t *tuners) each(do func(*tuner) error) error {
	var all []error
	for _, u := range t.all() {
		all = append(all, do(u))
	}
	return errors.Join(all...)
}

func (t *tuners) show(change func(*inForce)) {
	for _, u := range t.all() {
		u.show(change)
	}
}

func (t *tuners) hold(on bool) {
	for _, u := range t.all() {
		u.hold(on)
	}
}

// fix holds a ratio from now on; where it does not fit a model all stays as it is.
func (t *tuners) fix(keep vit.Keep) error {
	for _, u := range t.all() {
		if _, err := u.plansFor(keep); err != nil {
			return err
		}
	}
	return t.each(func(u *tuner) error { return u.fixRatio(keep) })
}

func (t *tuner) plansFor(keep vit.Keep) (plans []vit.Plan, err error) {
	for _, p := range t.passes {
		plan, err := p.Plan(keep)
		if err != nil {
			return nil, err
		}
		plans = append(plans, plan)
	}
	return plans, nil
}

func (t *tuner) fixRatio(keep vit.Keep) error {
	plans, err := t.plansFor(keep)
	if err == nil {
		t.fix(plans, keep.Ratio)
	}
	return err
}

// fixAsked holds what the configuration asks for from now on.
func (t *tuners) fixAsked() {
	for _, u := range t.all() {
		u.fix(t.asks(u.passes))
	}
}

// fixAsFound holds what is in force from now on.
func (t *tuners) fixAsFound() {
	for _, u := range t.all() {
		u.fix(u.plans, u.shown().ratio)
	}
}

// follow lets the budget decide, for each team by what is known of its passes.
func (t *tuners) follow(budget time.Duration) error {
	return t.each(func(u *tuner) error { return u.followPasses(budget) })
}

// followWith lets the budget decide for the teams that a pass is in, as far as all of
// their passes are calibrated.
func (t *tuners) followWith(p *lineup.Pass, budget time.Duration) error {
	return t.each(func(u *tuner) error {
		if !slices.Contains(u.passes, p) || slices.ContainsFunc(u.passes, func(p *lineup.Pass) bool { return len(p.Points) == 0 }) {
			return nil
		}
		return u.followPasses(budget)
	})
}

// followPasses lets the budget decide by what calibration found of the passes.
func (t *tuner) followPasses(budget time.Duration) error {
	var parts [][]calibrate.Measured
	for _, p := range t.passes {
		if len(p.Points) == 0 {
			return fmt.Errorf("model %s is not calibrated", p.Opened.Model)
		}
		parts = append(parts, p.Points)
	}
	return t.follow(tuning.Join(parts...), budget)
}

func (t *tuners) setBudget(budget time.Duration) error {
	return t.each(func(u *tuner) error { return u.setBudget(budget) })
}
