package calibrate

import "time"

// Target is what can be calibrated. One goroutine uses it at a time.
type Target interface {
	// Use makes the points of a group ready to run, until the next Use. What it
	// holds is the target's affair: a target that keeps every group's packed model
	// answers at once and pays with memory; one that keeps a single model packs it
	// anew and pays with time. The measurement times Use and stays in a group for
	// as many frames as keep that cost below a tenth of the whole; it discards the
	// first frame after it. An error drops the group's points, with the reason,
	// and leaves the target usable for other groups.
	Use(g Group) error

	// Run answers one whole frame (decode, preprocess, model) at a point of the
	// group in use. frame is a number from 0 up to Options.Frames; the same number
	// is the same picture for every point, and one that the target knows it can
	// decode. An error drops the point, with the reason.
	Run(p Point, frame int) (Outcome, error)
}

// Outcome is what one frame gave.
type Outcome struct {
	Latency time.Duration // of the whole frame, above 0
	Logits  []float32     // [classes]; the target's memory, valid until its next call
}

// Failure is a point that could not be run, or a group's points that could not.
type Failure struct {
	Point Point
	Err   error
}

// Progress is told after each frame, on the goroutine that measures: it should
// return at once.
type Progress struct {
	Phase   string        // Warming, Measuring or Judging
	Done    int           // frames
	Total   int           // frames that are needed at least
	Points  int           // still in the running
	Settled int           // of them, whose windows agree
	Elapsed time.Duration // since the start of the phase
	Left    time.Duration // estimate; never beyond the time limit
}

// The phases of a calibration.
const (
	Warming   = "warming up"
	Measuring = "measuring"
	Judging   = "judging"
)
