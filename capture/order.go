package capture

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"dynvit/head"
)

// Order is what is to be taken of a camera.
type Order struct {
	Label string        `json:"label"`
	Count int           `json:"count"` // pictures
	Every time.Duration `json:"-"`     // at least from one to the next
}

// Limits of an order, and what it is where nothing is said.
const (
	MostCount    = 1000
	MostEvery    = time.Hour
	DefaultCount = 30
	DefaultEvery = 2 * time.Second
)

// Check reports what is out of bounds.
func (o Order) Check() error {
	switch {
	case o.Count < 1 || o.Count > MostCount:
		return fmt.Errorf("count %d: want 1 to %d", o.Count, MostCount)
	case o.Every < 0 || o.Every > MostEvery:
		return fmt.Errorf("every %v: want at most %v", o.Every, MostEvery)
	}
	return head.CheckLabel(o.Label)
}

// MarshalJSON writes it as ParseOrder reads it.
func (o Order) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"label": o.Label, "count": o.Count, "every": o.Every.String()})
}

// ParseOrder reads a label, or {"label": "open", "count": 30, "every": "2s"}, of which the
// label alone is needed.
func ParseOrder(value []byte) (o Order, err error) {
	full := struct {
		Label *string `json:"label"`
		Count int     `json:"count"`
		Every string  `json:"every"`
	}{Count: DefaultCount, Every: DefaultEvery.String()}
	if string(value) == "null" || json.Unmarshal(value, &o.Label) != nil {
		d := json.NewDecoder(bytes.NewReader(value))
		d.DisallowUnknownFields()
		if err := d.Decode(&full); err != nil || full.Label == nil {
			return o, fmt.Errorf(`capture %.80s: want a label, or {"label":"open","count":30,"every":"2s"}`, value)
		}
		o.Label = *full.Label
	}
	if o.Every, err = time.ParseDuration(full.Every); err != nil {
		return o, fmt.Errorf("every %.40q: want a duration such as 2s", full.Every)
	}
	o.Count = full.Count
	return o, o.Check()
}

// Taking is an order that is being carried out. One goroutine uses it at a time.
type Taking struct {
	Order
	Taken int
	next  time.Time
}

// Due reports whether a frame of a time is to be taken.
func (t *Taking) Due(now time.Time) bool { return t.Taken < t.Count && !now.Before(t.next) }

// Took counts a picture of a time, and reports whether it was the last one.
func (t *Taking) Took(now time.Time) (last bool) {
	t.Taken++
	t.next = now.Add(t.Every)
	return t.Taken == t.Count
}

// ErrBusy is a picture that is not kept because the disk has not taken those before it.
var ErrBusy = errors.New("the disk is slower than the pictures")
