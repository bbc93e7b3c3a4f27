package calibrate

import (
	"math"
	"math/bits"
)

// Bits are yes or no a picture: bit i%8, from the lowest, of byte i/8. In JSON they are base64.
type Bits []byte

func newBits(n int) Bits { return make(Bits, (n+7)/8) }

func (b Bits) set(i int, yes bool) {
	if yes {
		b[i/8] |= 1 << (i % 8)
	}
}

func (b Bits) count() (n int) {
	for _, v := range b {
		n += bits.OnesCount8(v)
	}
	return n
}

// differing counts what is set in b alone, and in o alone. Both are of one length.
func (b Bits) differing(o Bits) (only, others int) {
	for i, v := range b {
		only += bits.OnesCount8(v &^ o[i])
		others += bits.OnesCount8(o[i] &^ v)
	}
	return only, others
}

// holds reports whether b can be of n pictures.
func (b Bits) holds(n int) bool {
	if n < 0 || len(b) != (n+7)/8 {
		return false
	}
	return n%8 == 0 || b[len(b)-1]>>(n%8) == 0
}

// withinChance is the mid-p value above which two points are right equally often.
const withinChance = 0.05

// mcnemar is the two-sided mid-p value of McNemar's test (Fagerland, Lydersen and Laake 2013): how likely two points
// that answer equally well differ so much, where one alone was right on b pictures and the other alone on c. The exact
// value keeps 5 % on paper and about 2 % in truth, which would call real differences chance.
func mcnemar(b, c int) float64 {
	n, least := b+c, min(b, c)
	p := likelihood(least, n) / 2
	for k := range least {
		p += likelihood(k, n)
	}
	return min(1, 2*p)
}

// likelihood of k heads among n throws of a coin.
func likelihood(k, n int) float64 {
	return math.Exp(lnFactorial(n) - lnFactorial(k) - lnFactorial(n-k) - float64(n)*math.Ln2)
}

func lnFactorial(n int) float64 {
	v, _ := math.Lgamma(float64(n) + 1)
	return v
}
