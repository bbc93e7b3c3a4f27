//go:build race

package needs

// Race is whether the race detector is at work: it takes memory and time of its own, so that
// tests don't judge how much it was.
const Race = true
