package calibrate

import "time"

// What can be asked for: a budget, and the percentile of the frames that holds it. Wherever
// a user sets one of them these are its limits.
const (
	LeastBudget     = time.Millisecond
	MostBudget      = time.Minute
	LeastPercentile = 1.0
	MostPercentile  = 99.9
)

// BudgetRange is a budget's limits as a user writes them.
const BudgetRange = "1ms to 1m"
