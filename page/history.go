package page

import (
	"math"
	"time"

	"dynvit/messages"
	"dynvit/timing"
)

const (
	// bucketLength is the time that one column of the last hour stands for: what a
	// phone has pixels for.
	bucketLength = 10 * time.Second
	// buckets make an hour.
	buckets = 360
)

// history is the last hour of a camera, in buckets that count up from the page's
// start. It is of fixed size.
type history struct {
	ring [buckets]bucket // the bucket i at i modulo buckets

	open  int64         // number of the bucket that frames are added to
	times timing.Counts // of its frames
	tally []votes       // of its frames
}

// bucket is what the frames of some seconds showed.
type bucket struct {
	number    int64
	frames    int
	label     string  // the one of most frames, "" for none
	score     float32 // mean of those frames'
	low, high float64 // median and 95th percentile of all frames' times, in milliseconds
}

// votes are frames of a bucket that have one label.
type votes struct {
	label  string
	frames int
	score  float32 // sum
}

// bucket is the number of the present one.
func (p *Page) bucket() int64 { return int64(time.Since(p.started) / bucketLength) }

// add counts a frame in the bucket now.
func (h *history) add(now int64, r *messages.Report) {
	if now != h.open {
		h.settle()
		h.open, h.times, h.tally = now, timing.Counts{}, h.tally[:0]
	}
	h.times.Count(r.Frame)
	for i := range h.tally {
		if v := &h.tally[i]; v.label == r.Label {
			v.frames, v.score = v.frames+1, v.score+r.Score
			return
		}
	}
	h.tally = append(h.tally, votes{r.Label, 1, r.Score})
}

// settle works out the bucket that is open.
func (h *history) settle() {
	b := bucket{number: h.open}
	var most votes
	for _, v := range h.tally {
		b.frames += v.frames
		if v.frames > most.frames {
			most = v
		}
	}
	if b.frames == 0 {
		return
	}
	low, _ := h.times.Percentile(50)
	high, _ := h.times.Percentile(95)
	b.label, b.score = most.label, most.score/float32(most.frames)
	b.low, b.high = timing.Rounded(low), timing.Rounded(high)
	h.ring[h.open%buckets] = b
}

// hour is the payload of the event history: columns of numbers, one a bucket that had
// frames, the oldest first.
type hour struct {
	Camera string    `json:"camera"`
	Model  string    `json:"model,omitempty"` // of several, those but the first
	Every  float64   `json:"every_s"`
	Now    int64     `json:"now"`    // the bucket that is open
	Labels []string  `json:"labels"` // that Label counts in
	At     []int64   `json:"at"`     // numbers of the buckets
	Label  []int     `json:"label"`  // of most frames; -1 where none holds
	Score  []float64 `json:"score"`  // mean, of these frames
	Low    []float64 `json:"p50_ms"` // of whole frames
	High   []float64 `json:"p95_ms"`
	Frames []int     `json:"frames"`
}

// since lists the buckets from one on, of the hour that ends now.
func (h *history) since(of hours, from, now int64) hour {
	h.settle()
	list := hour{
		Camera: of.camera, Model: of.model, Every: bucketLength.Seconds(), Now: now,
		Labels: []string{}, At: []int64{}, Label: []int{}, Score: []float64{}, Low: []float64{}, High: []float64{}, Frames: []int{},
	}
	for n := max(from, now-buckets+1, 0); n <= now; n++ {
		if b := &h.ring[n%buckets]; b.number == n && b.frames > 0 {
			list.add(b)
		}
	}
	return list
}

func (l *hour) add(b *bucket) {
	label := -1
	for i, known := range l.Labels {
		if known == b.label {
			label = i
		}
	}
	if label < 0 && b.label != "" {
		label = len(l.Labels)
		l.Labels = append(l.Labels, b.label)
	}
	l.At, l.Label, l.Frames = append(l.At, b.number), append(l.Label, label), append(l.Frames, b.frames)
	l.Score = append(l.Score, math.Round(float64(b.score)*1e3)/1e3)
	l.Low, l.High = append(l.Low, b.low), append(l.High, b.high)
}
