package tuning

import (
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/vit"
)

// counted is a classifier of one group that says what is done with it.
type counted struct {
	Classifier
	precision backends.Precision
	say       func(string)
}

func (c *counted) Info() engine.Info { return engine.Info{Precision: c.precision, Threads: 1} }
func (c *counted) Close() error      { c.say("close " + c.precision.String()); return nil }
func (c *counted) Classify(*engine.Result, *camera.Frame, preprocess.Region, vit.Plan) error {
	c.say("run " + c.precision.String())
	return nil
}

// TestTargetHoldsOneModelBesideTheLent: calibrations go to and fro between the
// groups, and a packed model is most of what a small box has memory for.
func TestTargetHoldsOneModelBesideTheLent(t *testing.T) {
	var said []string
	say := func(s string) { said = append(said, s) }
	open := func(o engine.Options) (Classifier, error) {
		p, err := backends.ParsePrecision(o.Precision)
		say("open " + o.Precision)
		return &counted{precision: p, say: say}, err
	}
	target := NewTarget(open, engine.Options{}, make([]camera.Frame, 1))
	target.Lend(&counted{precision: backends.Int8, say: say})
	for _, precision := range strings.Fields("int8 f32 int8 f32 int8 bf16 int8 bf16") {
		if err := target.Use(calibrate.Group{Precision: precision, Threads: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := target.Run(calibrate.Point{}, 0); err != nil {
			t.Fatal(err)
		}
	}
	target.Close()
	want := "run int8, open f32, run f32, run int8, run f32, run int8, close f32, open bf16, run bf16, run int8, run bf16, close bf16"
	if got := strings.Join(said, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
