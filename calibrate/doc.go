// Package calibrate goes from a latency budget to a setting of the machine, and
// holds the budget while the machine runs.
package calibrate
