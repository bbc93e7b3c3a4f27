package calibrate

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

var nan = float32(math.NaN())

// judging is a fake whose answer is class frame%3, and at keep 0.5 wrong on
// every fourth frame.
func judging() *fake {
	f := newFake(1)
	f.logits = func(p Point, frame int) []float32 {
		logits := []float32{0, 0, 0}
		class := frame % 3
		if p.KeepRatio == 0.5 && frame%4 == 0 {
			class = (class + 1) % 3
		}
		logits[class] = 5
		return logits
	}
	return f
}

func TestJudgeAgreementAndAccuracy(t *testing.T) {
	f := judging()
	points := Grid(plans(1, 0.7, 0.5), []string{"f32", "int8"}, []int{1, 2})
	labels := make([]int, 180)
	for i := range labels {
		labels[i] = i % 3
		if i%2 == 1 {
			labels[i] = -1
		}
	}
	q, failures, err := Judge(t.Context(), f, points, Options{Frames: 180, Labels: labels, Reference: dense("f32", 1), Clock: f.clock})
	if err != nil || len(failures) != 0 || f.misused != nil {
		t.Fatal(err, failures, f.misused)
	}
	for i, p := range points {
		want, accuracy, kl := 1.0, 1.0, 0.0
		if p.KeepRatio == 0.5 {
			want, accuracy = 0.75, 0.5
			high := 5 - math.Log(math.Exp(5)+2)
			kl = (math.Exp(high) - math.Exp(high-5)) * 5 / 4
		}
		if q[i].Judged != 180 || q[i].Agreement != want || q[i].Labelled != 90 || *q[i].Accuracy != accuracy || math.Abs(q[i].KL-kl) > 1e-6 {
			t.Errorf("%v: %+v (accuracy %v), want agreement %v, accuracy %v, KL %v", p, q[i], *q[i].Accuracy, want, accuracy, kl)
		}
		if q[i].Classes != 3 || q[i].Rarest != 30 || !q[i].Right.holds(90) || q[i].Right.count() != int(90*accuracy) || p.KeepRatio == 0.5 && q[i].Right[0] != 0xaa {
			t.Errorf("%v: %d classes, %d of the rarest, right %08b", p, q[i].Classes, q[i].Rarest, q[i].Right)
		}
		if q[i].Value() != accuracy || q[i].AgreementCI95.Hi < want || q[i].KLCI95.Lo > kl+1e-6 || q[i].KLCI95.Hi < kl-1e-6 {
			t.Errorf("%v: value %v, intervals %v %v", p, q[i].Value(), q[i].AgreementCI95, q[i].KLCI95)
		}
	}
	if q[0].AgreementCI95 != (Interval{1, 1}) {
		t.Errorf("the reference agrees with itself within %v", q[0].AgreementCI95)
	}
	// Threads change no answer and the reference is not run twice: five kinds of
	// points and the reference on 180 frames.
	if f.calls != 180*6 {
		t.Errorf("%d frames run, want %d", f.calls, 180*6)
	}
}

func TestJudgeTiesAndBrokenLogits(t *testing.T) {
	inf := float32(math.Inf(1))
	tables := map[string][][]float32{
		"f32":  {{1, 1, 0}, {0, 2, 2}, {3, 0, 0}, {nan, 1, 1}, {0, 1, 0}},
		"int8": {{1, 1, 0}, {0, 2, 2.5}, {nan, 9, 9}, {0, 1, 0}, {0, inf, 0}},
	}
	f := newFake(1)
	f.logits = func(p Point, frame int) []float32 { return tables[p.Precision][frame] }
	q, _, err := Judge(t.Context(), f, []Point{dense("int8", 1)}, Options{Frames: 5, Reference: dense("f32", 1), Clock: f.clock})
	if err != nil {
		t.Fatal(err)
	}
	// The tie of frame 0 goes to class 0 on both sides; frame 1 differs; 2 and 4 are
	// broken; 3 has no reference.
	if q[0].Judged != 4 || q[0].Agreement != 0.25 || q[0].Broken != 2 || math.IsNaN(q[0].KL) {
		t.Errorf("%+v", q[0])
	}
}

func TestJudgeStopsAtLimit(t *testing.T) {
	f := judging()
	f.useCost = 300 * time.Millisecond
	points := Grid(plans(0.7, 0.5), []string{"f32", "int8"}, []int{1})
	limit := 20 * time.Second
	q, _, err := Judge(t.Context(), f, points, Options{Frames: 10000, Reference: dense("f32", 1), Clock: f.clock, JudgeLimit: limit})
	if err != nil {
		t.Fatal(err)
	}
	if spent := f.now.Sub(f.start); spent > limit+400*time.Millisecond || spent < limit/2 {
		t.Errorf("%v spent of %v", spent, limit)
	}
	if kept := q[0].Judged * 5; kept < f.calls*9/10 { // the reference and four points a frame
		t.Errorf("%d frames of %d counted", kept, f.calls)
	}
	for i := range q {
		if q[i].Judged != q[0].Judged || q[i].Judged < 28 {
			t.Errorf("point %d judged on %d frames, the first on %d", i, q[i].Judged, q[0].Judged)
		}
	}
	if f.uses > 40 {
		t.Errorf("%d Uses", f.uses)
	}
}

func TestJudgeCancelled(t *testing.T) {
	f := judging()
	ctx, cancel := context.WithCancel(t.Context())
	f.after = func(calls int) {
		if calls == 50 {
			cancel()
		}
	}
	q, _, err := Judge(ctx, f, Grid(plans(0.7, 0.5), []string{"f32"}, []int{1}), Options{Frames: 100, Reference: dense("f32", 1), Clock: f.clock})
	if !errors.Is(err, context.Canceled) || f.calls != 50 {
		t.Fatalf("error %v after %d calls", err, f.calls)
	}
	if q[0].Judged != 12 || q[1].Judged != 12 { // chunks of 4 and 8, three kinds of answers
		t.Errorf("judged on %d and %d frames", q[0].Judged, q[1].Judged)
	}
}

func TestJudgeDropsWhatFails(t *testing.T) {
	boom, missing := errors.New("boom"), errors.New("no such kernel")
	f := judging()
	f.broken = func(p Point, frame int) error {
		if p.KeepRatio == 0.5 && frame == 9 {
			return boom
		}
		return nil
	}
	f.refuses = func(g Group) error {
		if g.Precision == "int8" {
			return missing
		}
		return nil
	}
	points := Grid(plans(0.7, 0.5), []string{"f32", "int8"}, []int{1})
	q, failures, err := Judge(t.Context(), f, points, Options{Frames: 20, Reference: dense("f32", 1), Clock: f.clock})
	if err != nil {
		t.Fatal(err)
	}
	if q[0].Judged != 20 || q[1].Judged+q[2].Judged+q[3].Judged != 0 {
		t.Errorf("%+v", q)
	}
	got := []error{failures[0].Err, failures[1].Err, failures[2].Err}
	if len(failures) != 3 || !slices.Equal(got, []error{boom, missing, missing}) {
		t.Errorf("failures %v", failures)
	}
}

func TestJudgeErrors(t *testing.T) {
	points := Grid(plans(0.5), []string{"f32"}, []int{1})
	for _, c := range []struct {
		name   string
		o      Options
		change func(*fake)
		want   string
	}{
		{"no reference", Options{Frames: 1}, nil, "keep ratio 0"},
		{"broken reference", Options{Frames: 1, Reference: dense("f32", 1)},
			func(f *fake) { f.broken = func(Point, int) error { return errors.New("boom") } }, "reference keep 1"},
		{"refused reference", Options{Frames: 1, Reference: dense("f32", 1)},
			func(f *fake) { f.refuses = func(Group) error { return errors.New("boom") } }, "reference keep 1"},
		{"short", Options{Frames: 9, Reference: dense("f32", 1), JudgeLimit: 70 * time.Millisecond}, nil, "before 4 frames"},
	} {
		f := judging()
		if c.change != nil {
			c.change(f)
		}
		c.o.Clock = f.clock
		if _, _, err := Judge(t.Context(), f, points, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestJudgeCountsClasses(t *testing.T) {
	f := newFake(1)
	f.logits = func(p Point, _ int) []float32 { return make([]float32, int(p.KeepRatio*10)) }
	_, failures, err := Judge(t.Context(), f, Grid(plans(0.5), []string{"f32"}, []int{1}), Options{Frames: 4, Reference: dense("f32", 1), Clock: f.clock})
	if err != nil || len(failures) != 1 || !strings.Contains(failures[0].Err.Error(), "5 logits, the reference has 10") {
		t.Errorf("error %v, failures %v", err, failures)
	}
}

func TestRunMeasuresAndJudges(t *testing.T) {
	boom := errors.New("boom")
	f := judging()
	f.broken = func(p Point, frame int) error {
		if p.KeepRatio == 0.7 && frame == 150 { // met by Judge alone
			return boom
		}
		return nil
	}
	m, err := Run(t.Context(), f, Grid(plans(1, 0.7, 0.5), []string{"f32"}, []int{1}), Options{Frames: 160, Reference: dense("f32", 1), Clock: f.clock})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Points) != 2 || m.Points[1].KeepRatio != 0.5 || m.Points[1].Agreement != 0.75 || len(m.Failures) != 1 || m.Failures[0].Err != boom {
		t.Errorf("%+v", m)
	}
}

func TestRunChecksTheReferenceFirst(t *testing.T) {
	f := judging()
	_, err := Run(t.Context(), f, Grid(plans(1), []string{"f32"}, []int{1}), Options{Frames: 1, Clock: f.clock})
	if err == nil || !strings.Contains(err.Error(), "reference: keep ratio 0") || f.calls != 0 {
		t.Errorf("error %v after %d frames", err, f.calls)
	}
}
