package calibrate

import (
	"errors"
	"math/rand/v2"
	"time"
)

// fake is a machine with a clock of its own: a frame takes a base time and one
// that grows with the patches kept, divided by the threads, with noise and now
// and then a spike.
type fake struct {
	now      time.Time
	random   *rand.Rand
	noise    float64                             // share, uniform
	spike    float64                             // share of frames that take twice as long
	drift    func(elapsed time.Duration) float64 // factor on everything
	useCost  time.Duration                       // of each change of group
	broken   func(p Point, frame int) error      // what Run answers
	refuses  func(g Group) error                 // what Use answers
	logits   func(p Point, frame int) []float32  // nil: none
	after    func(calls int)                     // told of each Run
	start    time.Time
	group    Group
	uses     int
	calls    int
	misused  error // a Run outside the group in use
	sequence []string
}

func newFake(seed uint64) *fake {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &fake{now: start, start: start, random: rand.New(rand.NewPCG(seed, 1))}
}

func (f *fake) clock() time.Time { return f.now }

func (f *fake) Use(g Group) error {
	if f.refuses != nil {
		if err := f.refuses(g); err != nil {
			return err
		}
	}
	if g != f.group {
		f.now = f.now.Add(f.useCost)
	}
	f.group = g
	f.uses++
	f.sequence = append(f.sequence, "use "+g.String())
	return nil
}

// ideal is a point's time without noise in milliseconds.
func ideal(p Point) float64 {
	kept := 0
	for _, k := range p.Keep {
		kept += k
	}
	speed := 1.0
	if p.Precision == "int8" {
		speed = 2
	}
	return 2 + float64(kept)/10/speed/float64(p.Threads)
}

func (f *fake) Run(p Point, frame int) (Outcome, error) {
	f.calls++
	if p.Group != f.group {
		f.misused = errors.New("Run of a group that is not in use")
	}
	if f.after != nil {
		f.after(f.calls)
	}
	if f.broken != nil {
		if err := f.broken(p, frame); err != nil {
			return Outcome{}, err
		}
	}
	ms := ideal(p) * (1 + f.noise*(2*f.random.Float64()-1))
	if f.random.Float64() < f.spike {
		ms *= 2
	}
	if f.drift != nil {
		ms *= f.drift(f.now.Sub(f.start))
	}
	d := time.Duration(ms * float64(time.Millisecond))
	f.now = f.now.Add(d)
	f.sequence = append(f.sequence, p.String())
	out := Outcome{Latency: d}
	if f.logits != nil {
		out.Logits = f.logits(p, frame)
	}
	return out, nil
}

// plan keeps the same share at three stages of 196 patches.
func plan(ratio float64) Plan {
	keep, tokens, macs, alive := make([]int, 3), []int{197}, 0.0, 196.0
	for i := range keep {
		alive *= ratio
		keep[i] = int(alive)
		tokens = append(tokens, keep[i]+1)
		macs += float64(keep[i]) / 500
	}
	return Plan{KeepRatio: ratio, Keep: keep, Tokens: tokens, GMACs: macs}
}

func plans(ratios ...float64) []Plan {
	var list []Plan
	for _, r := range ratios {
		list = append(list, plan(r))
	}
	return list
}

func dense(precision string, threads int) Point { return Point{plan(1), Group{precision, threads}} }
