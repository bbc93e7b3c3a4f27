package teach

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// clouds are pictures of classes that lie around corners, of two rows each.
func clouds(classes, each, width int, noise float64) regression {
	rng := rand.New(rand.NewPCG(1, 2))
	r := regression{classes: classes, rows: 2, width: width, shares: []float64{0.75, 0.25}}
	for i := range classes * each {
		r.class = append(r.class, i%classes)
		for range r.rows {
			for j := range width {
				v := noise * rng.NormFloat64()
				if j == i%classes {
					v++
				}
				r.x = append(r.x, v)
			}
		}
	}
	return r
}

func none(int) bool { return false }

// TestGradient: it is that of the loss, by differences.
func TestGradient(t *testing.T) {
	r := clouds(3, 4, 5, 0.5)
	weight := r.balanced(func(i int) bool { return i == 2 || i == 7 })
	n := r.classes * (r.width + 1)
	p, gradient, scratch := make([]float64, n), make([]float64, n), make([]float64, n)
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range p {
		p[i] = rng.NormFloat64()
	}
	work := r.workspace()
	r.compute(work, p, gradient, weight, 10, 0.3)
	for i := range p {
		const step = 1e-6
		at := p[i]
		p[i] = at + step
		above := r.compute(work, p, scratch, weight, 10, 0.3)
		p[i] = at - step
		below := r.compute(work, p, scratch, weight, 10, 0.3)
		p[i] = at
		if want := (above - below) / (2 * step); math.Abs(gradient[i]-want) > 1e-7 {
			t.Errorf("parameter %d: %v, by differences %v", i, gradient[i], want)
		}
	}
}

// TestFit: the minimum is one: where nothing moves it, to the same bits each time, near
// what another start finds, and it tells the classes apart.
func TestFit(t *testing.T) {
	r := clouds(4, 10, 6, 0.2)
	weight := r.balanced(none)
	p := r.fit(weight, 0.01, nil)
	if !slices.Equal(p, r.fit(weight, 0.01, nil)) {
		t.Error("other bits the second time")
	}
	gradient := make([]float64, len(p))
	r.compute(r.workspace(), p, gradient, weight, 40, 0.01)
	if size := math.Sqrt(dot(gradient, gradient)); size > 1e-3 {
		t.Errorf("a gradient of %v is left", size)
	}
	start := make([]float64, len(p))
	for i := range start {
		start[i] = math.Sin(float64(i))
	}
	work, scratch := r.workspace(), make([]float64, len(p))
	here := r.compute(work, p, scratch, weight, 40, 0.01)
	if there := r.compute(work, r.fit(weight, 0.01, start), scratch, weight, 40, 0.01); math.Abs(here-there) > 1e-5 {
		t.Errorf("a loss of %v from zeros, %v from elsewhere", here, there)
	}
	logits := make([]float64, len(r.class)*r.rows*r.classes)
	r.logits(logits, r.x, p)
	for i := range r.class {
		if row := logits[i*r.rows*r.classes:][:r.classes]; best(row) != r.class[i] {
			t.Errorf("picture %d of class %d: %v", i, r.class[i], row)
		}
	}
}

// TestBalanced: classes count alike whatever their number of pictures, those left out
// for nothing.
func TestBalanced(t *testing.T) {
	r := regression{classes: 2, class: []int{0, 0, 0, 1, 1}}
	got := r.balanced(func(i int) bool { return i == 4 })
	if want := []float64{2.0 / 3, 2.0 / 3, 2.0 / 3, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
