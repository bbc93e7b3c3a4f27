package calibrate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// firstChunk is how many frames are judged before the next group's turn; chunks
// double from there, so that a target that packs its model anew for each Use does
// so a handful of times, and a limit that comes early still leaves an answer.
const firstChunk = 4

// Judge compares every point's answers with the dense f32 model's
// (Options.Reference) on the same frames, and with the labels where there are
// any. All points are judged on the same frames: as many of Options.Frames as
// JudgeLimit allows. Points that differ in threads alone are judged once. The
// answer has one Quality a point, in order; points that failed are in the failures
// and have Judged 0. A cancelled ctx returns what was judged so far with ctx's
// error. A reference that cannot be run, or a limit too short for four frames, is
// an error.
//
// The first class of a tie is the lower one, as in results. A frame on which the
// point's logits are not all finite counts against it and is left out of KL; one on
// which the reference's are not is left out of everything.
func Judge(ctx context.Context, t Target, points []Point, o Options) ([]Quality, []Failure, error) {
	o, err := o.complete(points)
	if err == nil {
		err = o.Reference.check()
	}
	if err != nil {
		return nil, nil, err
	}
	j := newJudge(ctx, t, points, o)
	err = j.run()
	if errors.Is(err, errTimeUp) {
		err = nil
		if j.done == 0 {
			err = fmt.Errorf("the limit of %v was over before %d frames were judged", o.JudgeLimit.Round(time.Millisecond), firstChunk)
		}
	}
	qualities, failures := j.result(points)
	return qualities, failures, err
}

// candidate stands for the points that differ in threads alone.
type candidate struct {
	Point
	tally, fresh tally // fresh: of the chunk in hand, dropped if it is not finished
	err          error
}

// tally is what was counted of a candidate's frames.
type tally struct {
	judged, agree, broken int
	kl                    []float64
	labels                []int  // of the labelled frames, in order
	right                 []bool // which of them were answered right
}

func (t *tally) add(u tally) {
	t.judged += u.judged
	t.agree += u.agree
	t.broken += u.broken
	t.kl = append(t.kl, u.kl...)
	t.labels = append(t.labels, u.labels...)
	t.right = append(t.right, u.right...)
}

// answer is what the reference says of one frame.
type answer struct {
	logs []float64 // logarithms of the probabilities; nil where the logits are not finite
	best int
}

type judge struct {
	ctx        context.Context
	target     Target
	o          Options
	started    time.Time
	candidates []*candidate // by group
	total      int          // candidates at the start, with the reference
	done       int          // frames judged
}

func newJudge(ctx context.Context, t Target, points []Point, o Options) *judge {
	j := &judge{ctx: ctx, target: t, o: o, started: o.Clock()}
	for _, p := range points {
		if j.candidate(p) == nil {
			j.candidates = append(j.candidates, &candidate{Point: p})
		}
	}
	slices.SortStableFunc(j.candidates, func(a, b *candidate) int {
		return firstOf(points, a.Group) - firstOf(points, b.Group)
	})
	j.total = len(j.candidates) + 1
	return j
}

func firstOf(points []Point, g Group) int {
	return slices.IndexFunc(points, func(p Point) bool { return p.Group == g })
}

// candidate that stands for a point, nil if there is none.
func (j *judge) candidate(p Point) *candidate {
	for _, c := range j.candidates {
		if c.answersAs(p) {
			return c
		}
	}
	return nil
}

// answersAs reports whether two points give the same answers: threads change
// when a sum is done, not its order.
func (p Point) answersAs(q Point) bool {
	return p.Precision == q.Precision && slices.Equal(p.Keep, q.Keep)
}

func (j *judge) run() error {
	for size := j.o.chunk; j.done < j.o.Frames; size *= 2 {
		n := min(size, j.o.Frames-j.done, j.affordable())
		if n < 1 {
			return errTimeUp
		}
		if err := j.chunk(j.done, j.done+n); err != nil {
			return err
		}
		for _, c := range j.candidates {
			c.tally.add(c.fresh)
		}
		j.done += n
	}
	return nil
}

// affordable is how many frames fit into the rest of the time at the present
// rate: a chunk that is cut off is lost.
func (j *judge) affordable() int {
	if j.done == 0 {
		return j.o.chunk
	}
	elapsed := j.o.Clock().Sub(j.started)
	if elapsed <= 0 {
		return math.MaxInt
	}
	return int(float64(j.done) * float64(j.o.JudgeLimit-elapsed) / float64(elapsed))
}

func (j *judge) check() error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	if j.o.Clock().Sub(j.started) >= j.o.JudgeLimit {
		return errTimeUp
	}
	return nil
}

// chunk judges frames from..to of every candidate.
func (j *judge) chunk(from, to int) error {
	answers, err := j.reference(from, to)
	if err != nil {
		return err
	}
	var using *Group
	for i, c := range j.candidates {
		c.fresh = tally{}
		if c.err != nil {
			continue
		}
		if using == nil || *using != c.Group {
			if c.err = j.target.Use(c.Group); c.err != nil {
				using = nil
				continue
			}
			using = &c.Group
		}
		for f := from; f < to; f++ {
			if err := j.compare(c, f, answers[f-from]); err != nil {
				return err
			}
			j.report((i+1)*(to-from) + f - from + 1)
		}
	}
	return nil
}

// reference answers frames from..to by the dense f32 model.
func (j *judge) reference(from, to int) ([]answer, error) {
	if err := j.target.Use(j.o.Reference.Group); err != nil {
		return nil, j.unlessCancelled(fmt.Errorf("reference %v: %w", j.o.Reference, err))
	}
	answers := make([]answer, 0, to-from)
	for f := from; f < to; f++ {
		out, err := j.target.Run(j.o.Reference, f)
		if err != nil {
			return nil, j.unlessCancelled(fmt.Errorf("reference %v: frame %d: %w", j.o.Reference, f, err))
		}
		answers = append(answers, answerOf(out.Logits))
		j.report(f - from + 1)
		if err := j.check(); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func (j *judge) unlessCancelled(err error) error {
	if e := j.ctx.Err(); e != nil {
		return e
	}
	return err
}

// compare judges one frame of a candidate. A candidate that fails is out.
func (j *judge) compare(c *candidate, frame int, want answer) error {
	if c.err != nil || want.logs == nil {
		return j.check()
	}
	logs := want.logs
	if !c.answersAs(j.o.Reference) {
		var err error
		if logs, err = j.answer(c, frame, len(want.logs)); err != nil || c.err != nil {
			return err
		}
	}
	c.fresh.see(want, logs, j.label(frame))
	return j.check()
}

// answer runs a candidate on a frame; nil where its logits are not finite.
func (j *judge) answer(c *candidate, frame, classes int) ([]float64, error) {
	out, err := j.target.Run(c.Point, frame)
	if e := j.ctx.Err(); e != nil {
		return nil, e // the frame may have been cut short
	}
	if err == nil && len(out.Logits) != classes {
		err = fmt.Errorf("%d logits, the reference has %d", len(out.Logits), classes)
	}
	if c.err = err; err != nil {
		return nil, nil
	}
	return logSoftmax(out.Logits), nil
}

func (j *judge) label(frame int) int {
	if len(j.o.Labels) == 0 {
		return -1
	}
	return j.o.Labels[frame]
}

// see counts one frame: what the reference says, the candidate's logarithms of
// probabilities (nil where they are not finite), and the label or -1.
func (t *tally) see(want answer, logs []float64, label int) {
	t.judged++
	best := -1
	if logs != nil {
		best = top(logs)
	}
	if label >= 0 {
		t.labels, t.right = append(t.labels, label), append(t.right, best == label)
	}
	if logs == nil {
		t.broken++
		return
	}
	if best == want.best {
		t.agree++
	}
	t.kl = append(t.kl, divergence(want.logs, logs))
}

func (j *judge) report(ofChunk int) {
	elapsed := j.o.Clock().Sub(j.started)
	p := Progress{Phase: Judging, Done: j.done*j.total + ofChunk, Total: j.o.Frames * j.total, Elapsed: elapsed}
	for _, c := range j.candidates {
		if c.err == nil {
			p.Points++
		}
	}
	p.Left = left(p, j.o.JudgeLimit)
	j.o.Progress(p)
}

func (j *judge) result(points []Point) ([]Quality, []Failure) {
	qualities := make([]Quality, len(points))
	var failures []Failure
	for i, p := range points {
		c := j.candidate(p)
		if c.err != nil {
			failures = append(failures, Failure{p, c.err})
			continue
		}
		qualities[i] = c.tally.quality(rand.New(rand.NewPCG(j.o.Seed, uint64(i))))
		if c.answersAs(j.o.Reference) && c.tally.judged > 0 {
			qualities[i].AgreementCI95 = Interval{1, 1} // by definition, not by luck
		}
	}
	return qualities, failures
}

func (t *tally) quality(r *rand.Rand) Quality {
	if t.judged == 0 {
		return Quality{}
	}
	q := Quality{
		Judged: t.judged, Agreement: float64(t.agree) / float64(t.judged), AgreementCI95: Wilson(t.agree, t.judged),
		KL: mean(t.kl), KLCI95: bootstrapMean(t.kl, r), Broken: t.broken, Labelled: len(t.labels),
	}
	if len(t.labels) > 0 {
		t.byLabels(&q)
	}
	return q
}

func (t *tally) byLabels(q *Quality) {
	q.Right = newBits(len(t.right))
	of := map[int]int{}
	for i, right := range t.right {
		q.Right.set(i, right)
		of[t.labels[i]]++
	}
	q.Classes, q.Rarest = len(of), slices.Min(slices.Collect(maps.Values(of)))
	hits := q.Right.count()
	accuracy, interval := float64(hits)/float64(len(t.right)), Wilson(hits, len(t.right))
	q.Accuracy, q.AccuracyCI95 = &accuracy, &interval
}

func answerOf(logits []float32) answer {
	logs := logSoftmax(logits)
	if logs == nil {
		return answer{}
	}
	return answer{logs, top(logs)}
}

// logSoftmax is the logarithms of the probabilities; nil if a logit
// is not finite.
func logSoftmax(logits []float32) []float64 {
	most := math.Inf(-1)
	for _, v := range logits {
		if v-v != 0 {
			return nil
		}
		most = max(most, float64(v))
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - most)
	}
	shift := most + math.Log(sum)
	logs := make([]float64, len(logits))
	for i, v := range logits {
		logs[i] = float64(v) - shift
	}
	return logs
}

// top is the largest's index, the lowest of several.
func top(v []float64) int {
	best := 0
	for i := range v {
		if v[i] > v[best] {
			best = i
		}
	}
	return best
}

// divergence is KL(p ‖ q) in nats of two rows of log probabilities; rounding may
// not make it negative.
func divergence(p, q []float64) float64 {
	sum := 0.0
	for i := range p {
		sum += math.Exp(p[i]) * (p[i] - q[i])
	}
	return max(0, sum)
}

// Compare holds the logits of a picture against a reference's: KL(reference ‖ logits) in nats,
// and whether the first class is the same. ok is false where not all are finite.
func Compare(reference, logits []float32) (kl float64, agrees, ok bool) {
	want, got := answerOf(reference), logSoftmax(logits)
	if want.logs == nil || got == nil || len(got) != len(want.logs) {
		return 0, false, false
	}
	return divergence(want.logs, got), top(got) == want.best, true
}
