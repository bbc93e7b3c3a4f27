package timing

import (
	"testing"
	"time"
)

func TestRank(t *testing.T) {
	for _, c := range []struct {
		n    int
		p    float64
		want int
	}{
		{1, 0, 0}, {1, 50, 0}, {1, 100, 0}, {2, 50, 0}, {2, 50.1, 1}, {3, 50, 1}, {4, 50, 1}, {20, 95, 18}, {21, 95, 19},
		{100, 99, 98}, {101, 99, 99}, {1000, 99.9, 998}, {1000, 0, 0}, {1000, 100, 999}, {10, 90, 8}, {200, 99.5, 198},
	} {
		if got := Rank(c.n, c.p); got != c.want {
			t.Errorf("p%v of %d: %d, want %d", c.p, c.n, got, c.want)
		}
	}
	for n := 1; n < 3000; n++ { // whole percents, in integers
		for p := range 101 {
			if got, want := Rank(n, float64(p)), max(0, (p*n+99)/100-1); got != want {
				t.Fatalf("p%d of %d: %d, want %d", p, n, got, want)
			}
		}
	}
}

func TestMilliseconds(t *testing.T) {
	for _, c := range []struct {
		d              time.Duration
		exact, rounded float64
	}{
		{0, 0, 0}, {25 * time.Millisecond, 25, 25}, {12345678, 12.345678, 12.346}, {1499, 0.001499, 0.001}, {1500, 0.0015, 0.002},
		{-time.Millisecond, -1, -1}, {time.Minute, 60000, 60000}, {123456 * time.Microsecond, 123.456, 123.456},
	} {
		if got := Milliseconds(c.d); got != c.exact {
			t.Errorf("%v: %v ms, want %v", c.d, got, c.exact)
		}
		if got := Rounded(c.d); got != c.rounded {
			t.Errorf("%v: %v ms rounded, want %v", c.d, got, c.rounded)
		}
	}
}
