package calibrate

import (
	"strings"
	"testing"
	"time"
)

func TestBudgetRange(t *testing.T) {
	least, most, _ := strings.Cut(BudgetRange, " to ")
	for text, want := range map[string]time.Duration{least: LeastBudget, most: MostBudget} {
		if got, err := time.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q says %q for %v: %v", BudgetRange, text, want, err)
		}
	}
}
