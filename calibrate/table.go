package calibrate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"dynvit/machine"
	"dynvit/timing"
)

// Schema is the version of the file. Fields may be added under it.
const Schema = 1

// maxTable bounds the file: 500 points take 0.3 MiB.
const maxTable = 4 << 20

// Model names the model that was measured.
type Model struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // of its file, hexadecimal; "" for random weights
}

// Origin is what a table's figures hold for.
type Origin struct {
	Program string              `json:"program"`           // version
	Model   Model               `json:"model"`             // measured
	Scorer  string              `json:"scorer,omitempty"`  // what chooses the patches
	Backend string              `json:"backend,omitempty"` // what computes
	Machine machine.Fingerprint `json:"machine"`
}

// Table is a calibration: what was measured where, and what was chosen.
type Table struct {
	Schema  int       `json:"schema"`
	Created time.Time `json:"created"`
	Origin
	Frame      string     `json:"frame"` // what was measured on, such as "1280x720 jpeg"
	BudgetMS   float64    `json:"budget_ms"`
	Percentile float64    `json:"percentile"`        // of ci95_ms: another wanted one needs another measurement
	Partial    bool       `json:"partial,omitempty"` // cut off: kept to look at, not to run by
	Points     []Measured `json:"points"`
	Chosen     *Measured  `json:"chosen"` // one of Points; nil where none meets the budget
}

// NewTable makes the table of a measurement and chooses. The table is complete
// even if nothing fits: then Chosen is nil and the error a *NothingFits.
func NewTable(m Measurement, from Origin, frame string, budget time.Duration, created time.Time) (*Table, error) {
	t := &Table{
		Schema: Schema, Created: created.UTC().Truncate(time.Millisecond), Origin: from, Frame: frame,
		BudgetMS: timing.Milliseconds(budget), Percentile: m.Percentile, Points: m.Points,
	}
	return t, t.Choose(budget)
}

// Choose chooses anew for another budget, without measuring. The percentile
// cannot be changed that way: the intervals are of the one that was measured. Where
// nothing fits Chosen is nil and the error a *NothingFits.
func (t *Table) Choose(budget time.Duration) error {
	i, err := Choose(t.Points, t.Percentile, budget)
	t.BudgetMS, t.Chosen = timing.Milliseconds(budget), nil
	if err == nil {
		t.Chosen = &t.Points[i]
	}
	return err
}

// Group returns the indices of the points of one precision and thread count,
// what a running daemon can move among.
func (t *Table) Group(g Group) []int {
	var list []int
	for i, p := range t.Points {
		if p.Group == g {
			list = append(list, i)
		}
	}
	return list
}

// Quality is what the points' answers are compared by: "accuracy" where there are
// labels enough, else "agreement".
func (t *Table) Quality() string {
	if slices.ContainsFunc(t.Points, func(p Measured) bool { return p.Measures() }) {
		return "accuracy"
	}
	return "agreement"
}

// Doubt says in one line why labels that there are did not decide, "" where they
// did or there are none.
func (t *Table) Doubt() string {
	i := slices.IndexFunc(t.Points, func(p Measured) bool { return p.Labelled > 0 })
	if i < 0 || t.Quality() == "accuracy" {
		return ""
	}
	p := t.Points[i]
	return fmt.Sprintf("labels are no measure: %d %s judged, %d pictures of the rarest; want %d and %d (more pictures, or more time to judge them): agreement decided",
		p.Classes, plural(p.Classes, "class", "classes"), p.Rarest, leastClasses, leastOfClass)
}

// MarshalJSON writes Created in milliseconds and Z, as every time of ours.
func (t *Table) MarshalJSON() ([]byte, error) {
	type plain Table
	return json.Marshal(struct {
		Schema  int    `json:"schema"`
		Created string `json:"created"`
		*plain
		Quality string `json:"quality"`
	}{t.Schema, t.Created.UTC().Format("2006-01-02T15:04:05.000Z"), (*plain)(t), t.Quality()})
}

// Encode writes the table as indented JSON.
func (t *Table) Encode(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(t)
}

// Read reads and checks a table. It reads no more than 4 MiB.
func Read(r io.Reader) (*Table, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxTable+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxTable {
		return nil, fmt.Errorf("more than %d MiB: no calibration", maxTable>>20)
	}
	if err := checkSchema(data); err != nil {
		return nil, err
	}
	var t Table
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	if i := t.chosen(); i >= 0 { // what a file says of it twice counts once
		t.Chosen = &t.Points[i]
	}
	return &t, nil
}

// chosen is the index of the chosen point, -1 where it is none of the points.
func (t *Table) chosen() int {
	return slices.IndexFunc(t.Points, func(p Measured) bool { return t.Chosen != nil && p.same(t.Chosen.Point) })
}

// checkSchema comes before the rest, which another version may spell otherwise.
func checkSchema(data []byte) error {
	var head struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	if head.Schema == nil {
		return errors.New("no calibration: it has no schema")
	}
	if *head.Schema != Schema {
		return fmt.Errorf("schema %d: this program reads %d", *head.Schema, Schema)
	}
	return nil
}

// Check reports the first thing that no calibration could have written.
func (t *Table) Check() error {
	switch {
	case t.Schema != Schema:
		return fmt.Errorf("schema %d: want %d", t.Schema, Schema)
	case !(t.BudgetMS > 0) || math.IsInf(t.BudgetMS, 0):
		return fmt.Errorf("budget_ms %v: want more than 0", t.BudgetMS)
	case !(t.Percentile > 0 && t.Percentile < 100):
		return fmt.Errorf("percentile %v: want above 0 and below 100", t.Percentile)
	case len(t.Points) == 0 && !t.Partial:
		return errors.New("it has no points")
	}
	for i := range t.Points {
		if err := t.checkPoint(i); err != nil {
			return fmt.Errorf("point %d: %w", i, err)
		}
	}
	if t.Chosen != nil && t.chosen() < 0 {
		return fmt.Errorf("the chosen point, %v, is not in the table", t.Chosen.Point)
	}
	return nil
}

func (t *Table) checkPoint(i int) error {
	p := t.Points[i]
	if err := p.Point.check(); err != nil {
		return err
	}
	if len(p.Keep) != len(t.Points[0].Keep) {
		return fmt.Errorf("%v: %d stages, others have %d", p.Point, len(p.Keep), len(t.Points[0].Keep))
	}
	for _, q := range t.Points[:i] {
		if p.same(q.Point) {
			return fmt.Errorf("%v: given twice", p.Point)
		}
	}
	return p.check()
}

// longest time in milliseconds that a frame is believed to take.
const longest = 7 * 24 * 3600 * 1000

func (p Measured) check() error {
	times := []float64{p.P50, p.P90, p.P95, p.P99}
	if !(p.P50 > 0 && slices.IsSorted(times) && p.P99 <= longest) {
		return fmt.Errorf("%v: times %v: want rising from above 0, at most a week", p.Point, times)
	}
	if !(p.CI95.Lo > 0 && p.CI95.Lo <= p.CI95.Hi && p.CI95.Hi <= longest) {
		return fmt.Errorf("%v: ci95_ms [%v, %v]: want rising from above 0, at most a week", p.Point, p.CI95.Lo, p.CI95.Hi)
	}
	if p.Frames < 0 || p.Judged < 0 || !share(p.Agreement) || p.Accuracy != nil && !share(*p.Accuracy) {
		return fmt.Errorf("%v: frames, judged, agreement and accuracy: want counts and shares from 0 to 1", p.Point)
	}
	return p.checkLabels()
}

func (p Measured) checkLabels() error {
	switch {
	case p.Labelled < 0 || p.Labelled > p.Judged:
		return fmt.Errorf("%v: %d labelled pictures of %d judged", p.Point, p.Labelled, p.Judged)
	case len(p.Right) > 0 && !p.Right.holds(p.Labelled):
		return fmt.Errorf("%v: right: want a bit for each of %d labelled pictures", p.Point, p.Labelled)
	}
	return nil
}

func share(v float64) bool { return v >= 0 && v <= 1 }
