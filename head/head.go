// Package head is a classifier on the features of a backbone (vit.Result.Features) that
// was taught afterwards, and the file that it is kept in: a head alone, which names the
// backbone that it reads, or one with the backbone in the same file.
//
// [Load] and [Parse] read one, [Head.Tensors] and [Head.Meta] are what it is written as,
// [Head.Classify] says what features show.
package head

import (
	"fmt"
	"math"
)

// Head is a linear classifier with a temperature, and a rule for what is none of its
// classes. It does not change while it is used, and may then be used by several
// goroutines.
type Head struct {
	Name     string // of its file, without the ending
	Backbone string // vit.BackboneSum of what it was taught on
	Base     string // by what name that was opened: of the store, or the embedded model's

	Labels      []string  // C, one a class
	Width       int       // W, vit.Config.Features
	Weight      []float32 // [C, W]
	Bias        []float32 // [C]
	Temperature float64   // logits are divided by it, above 0
	None        *None     // nil: each picture is of one of the classes

	Note map[string]string // how it came to be, for people
}

// None is the rule for what is none of the classes: features that are farther than
// Threshold from each of the Centres are. The distance is that between Project·features
// and the centre, squared.
type None struct {
	Rank      int       // R, 1 to W
	Project   []float32 // [R, W]
	Centres   []float32 // [K, R]
	Threshold float32
}

// Classify writes the probability of each class to scores [C] and reports whether the
// features [W] are of any of the classes. It allocates nothing.
func (h *Head) Classify(features, scores []float32) (known bool) {
	h.Logits(features, scores)
	softmax(scores)
	return h.Known(features)
}

// Logits writes the classes' logits, divided by the temperature, to logits [C].
func (h *Head) Logits(features, logits []float32) {
	h.check(features, logits)
	for class := range logits {
		logits[class] = float32(float64(dot(h.Weight[class*h.Width:(class+1)*h.Width], features)+h.Bias[class]) / h.Temperature)
	}
}

// check panics where a caller's slices do not fit, as the operations of backends do.
func (h *Head) check(features, scores []float32) {
	if len(features) != h.Width || len(scores) != len(h.Labels) {
		panic(fmt.Sprintf("head: %d features and %d scores for a head of %d and %d", len(features), len(scores), h.Width, len(h.Labels)))
	}
}

// Known reports whether features [W] are of any of the classes.
func (h *Head) Known(features []float32) bool {
	return h.None == nil || h.None.Distance(features) <= h.None.Threshold
}

// mostRank bounds Rank: what is projected has room on the stack.
const mostRank = 256

// Distance is how far features [W] are from the nearest centre.
func (n *None) Distance(features []float32) float32 {
	var room [mostRank]float32
	at := room[:n.Rank]
	width := len(features)
	for i := range at {
		at[i] = dot(n.Project[i*width:(i+1)*width], features)
	}
	nearest := float32(math.Inf(1))
	for from := 0; from < len(n.Centres); from += n.Rank {
		nearest = min(nearest, squared(at, n.Centres[from:from+n.Rank]))
	}
	return nearest
}

// dot has four sums, so that an addition need not wait for the one before it.
func dot(a, b []float32) float32 {
	var s [4]float32
	b = b[:len(a)]
	for len(a) >= 4 && len(b) >= 4 {
		s[0] += a[0] * b[0]
		s[1] += a[1] * b[1]
		s[2] += a[2] * b[2]
		s[3] += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i, x := range a {
		s[0] += x * b[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func squared(a, b []float32) (sum float32) {
	b = b[:len(a)]
	for i, x := range a {
		d := x - b[i]
		sum += d * d
	}
	return sum
}

// softmax replaces logits by probabilities.
func softmax(v []float32) {
	most := float32(math.Inf(-1))
	for _, x := range v {
		most = max(most, x)
	}
	sum := 0.0
	for i, x := range v {
		e := math.Exp(float64(x - most))
		v[i] = float32(e)
		sum += e
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / sum)
	}
}
