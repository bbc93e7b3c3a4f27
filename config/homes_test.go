package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"dynvit/backends"
	"dynvit/calibrate"
	"dynvit/vit"
)

// TestTagsAgree holds the names and limits in tags, which must be literals, to the packages
// that own them.
func TestTagsAgree(t *testing.T) {
	tag := func(of any, field, key string) string {
		f, ok := reflect.TypeOf(of).FieldByName(field)
		if !ok {
			t.Fatalf("%T has no %s", of, field)
		}
		return f.Tag.Get(key)
	}
	duration := func(d time.Duration) string { return strings.TrimSuffix(d.String(), "0s") }
	for _, c := range []struct{ what, got, want string }{
		{"scorer", tag(Config{}, "Scorer", "oneof"), strings.Join(vit.ScorerNames(), " ")},
		{"backend", tag(Config{}, "Backend", "oneof"), "auto " + strings.Join(backends.Names(), " ")},
		{"precision", tag(Config{}, "Precision", "oneof"), "auto " + strings.Join(backends.PrecisionNames(), " ")},
		{"least budget", tag(Latency{}, "Budget", "min"), duration(calibrate.LeastBudget)},
		{"most budget", tag(Latency{}, "Budget", "max"), duration(calibrate.MostBudget)},
		{"least percentile", tag(Latency{}, "Percentile", "min"), fmt.Sprint(calibrate.LeastPercentile)},
		{"most percentile", tag(Latency{}, "Percentile", "max"), fmt.Sprint(calibrate.MostPercentile)},
	} {
		if c.got != c.want {
			t.Errorf("%s: the tag says %q, its owner %q", c.what, c.got, c.want)
		}
	}
}
