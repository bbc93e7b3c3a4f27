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
	Whole       bool      // it reads features of whole pictures, squeezed into the input, not of the square in their middle

	Note map[string]string // how it came to be, for people
}

// None is the rule for what is none of the classes: features whose direction is farther
// than Threshold from that of each of the Centres are. The distance of two directions is
// 1 - their cosine, 0 to 2.
//
// On DeiT-Tiny's features, five of Imagenette's classes taught by 10 pictures each, the means of
// the classes refuse 99 % of the other five's pictures where 95 % of their own are accepted;
// the third nearest picture 98 %, Mahalanobis distances 55 % and Euclidean ones 52 %.
type None struct {
	Centres   []float32 // [K, W], of length 1 each
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

// Distance is how far the direction of features [W] is from the nearest centre's.
func (n *None) Distance(features []float32) float32 {
	length, nearest := math.Sqrt(float64(dot(features, features))), math.Inf(1)
	for from := 0; from < len(n.Centres); from += len(features) {
		nearest = min(nearest, 1-float64(dot(features, n.Centres[from:from+len(features)]))/length)
	}
	return float32(nearest)
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
