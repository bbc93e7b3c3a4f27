package messages

import "time"

// NoClass is the class where no label holds; it is published as label null.
const NoClass = -1

// Report is what one frame of a camera showed.
type Report struct {
	Camera    string
	Model     string        // which of several that look at the camera; "" where there is one
	Seq       uint64        // of the frame, as the camera counts
	Captured  time.Time     // with a monotonic reading
	Synced    bool          // the clock was synchronised when the frame was classified
	Class     int           // -1 where no label holds
	Label     string        // "" where Class is -1
	Score     float32       // of the best class, 0 to 1, also where no label holds
	Top       []Ranked      // Best first
	KeepRatio float64       // the ratio asked for
	Tokens    []int         // alive: before the first stage, and after each
	Latency   time.Duration // the model alone
	Frame     time.Duration // decode, preprocess and model
}

// Ranked is a class with its score.
type Ranked struct {
	Class int
	Label string
	Score float32
}

// Change is how a camera's label became another.
type Change struct {
	ID       uint64 // counts all events of the daemon from 1
	Previous int    // class before; -1 for none
	Label    string // its label; "" where Previous is -1
	Since    time.Time
}

// Rank takes over the best classes of scores, best first, reusing the report's
// memory; the label that holds is decided later.
func (r *Report) Rank(best []int, scores []float32, label func(int) string) {
	r.Top = r.Top[:0]
	for _, class := range best {
		r.Top = append(r.Top, Ranked{class, label(class), scores[class]})
	}
	r.Score = 0
	if len(r.Top) > 0 {
		r.Score = r.Top[0].Score
	}
}

// CopyFrom makes r a copy of o in r's own memory.
func (r *Report) CopyFrom(o *Report) {
	top, tokens := append(r.Top[:0], o.Top...), append(r.Tokens[:0], o.Tokens...)
	*r = *o
	r.Top, r.Tokens = top, tokens
}

// Best is the class with the highest score, -1 where there is none.
func (r *Report) Best() int {
	if len(r.Top) == 0 {
		return NoClass
	}
	return r.Top[0].Class
}

// SetLabel sets the label that holds.
func (r *Report) SetLabel(class int, label func(int) string) {
	r.Class, r.Label = class, ""
	if class != NoClass {
		r.Label = label(class)
	}
}
