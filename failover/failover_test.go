package failover

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/backends"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/tuning"
	"dynvit/vit"
)

// classifier answers until its device is lost.
type classifier struct {
	tuning.Classifier
	box     *box
	backend string
	why     string
	frames  int
	closed  int
	plans   []string
}

func (c *classifier) Info() engine.Info {
	info := engine.Info{Backend: c.backend, Why: c.why, Patches: 196}
	if c.box.stages != nil {
		info.Stages = c.box.stages[c.backend]
	}
	return info
}

func (c *classifier) Plan(k vit.Keep) (vit.Plan, error) {
	return vit.PlanFor(k.Ratio, 196, c.Info().Stages)
}

func (c *classifier) Label(class int) string {
	return fmt.Sprint("label ", class)
}

func (c *classifier) Close() error { c.closed++; return nil }

func (c *classifier) Classify(_ *engine.Result, _ *camera.Frame, _ preprocess.Region, p vit.Plan) error {
	c.plans = append(c.plans, p.String())
	if c.closed > 0 {
		return errors.New("used after Close")
	}
	if c.backend == "gpu" && c.box.lost.Load() {
		return fmt.Errorf("frame: %w", backends.ErrLost)
	}
	c.frames++
	return c.box.failed
}

// box is a machine with a GPU that may be lost.
type box struct {
	lost   atomic.Bool // what is open fails
	gone   atomic.Bool // it cannot be opened either
	noCPU  bool
	failed error          // of every frame
	stages map[string]int // by backend

	mu     sync.Mutex
	opened []*classifier
	asked  []string // backends by name
}

func (b *box) open(o engine.Options, list []backends.Candidate) (tuning.Classifier, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, o.Backend)
	be, why, err := backends.Pick(list, o.Backend, backends.Options{})
	if err != nil {
		return nil, err
	}
	b.opened = append(b.opened, &classifier{box: b, backend: be.Facts().Name, why: why})
	return b.opened[len(b.opened)-1], nil
}

// counts are what was opened, and what was tried.
func (b *box) counts() (opened, tried int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.opened), len(b.asked)
}

// named is a backend that has a name alone.
type named struct {
	backends.Backend
	name string
}

func (n named) Facts() backends.Facts { return backends.Facts{Name: n.name} }

func (b *box) candidates() []backends.Candidate {
	return []backends.Candidate{
		{Name: "gpu", Auto: true, Open: func(backends.Options) (backends.Backend, error) {
			if b.gone.Load() {
				return nil, fmt.Errorf("%w: gone", backends.ErrUnavailable)
			}
			return named{name: "gpu"}, nil
		}},
		{Name: "cpu", Auto: true, Open: func(backends.Options) (backends.Backend, error) {
			if b.noCPU {
				return nil, fmt.Errorf("%w: none", backends.ErrUnavailable)
			}
			return named{name: "cpu"}, nil
		}},
	}
}

func start(t *testing.T, b *box, backend string) *Classifier {
	t.Helper()
	c, err := New(b.open, engine.Options{Backend: backend}, b.candidates(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func look(c *Classifier) error { return c.Classify(nil, nil, preprocess.Whole, vit.Plan{}) }

// TestStandsIn: the frame that finds the device lost is looked at by another backend, whose
// info says why; the device is taken back once it serves, and each that was left is closed.
func TestStandsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &box{}
		c := start(t, b, "auto")
		if err := look(c); err != nil || c.Info().Backend != "gpu" {
			t.Fatal(err, c.Info())
		}
		b.lost.Store(true)
		b.gone.Store(true)
		if err := look(c); err != nil {
			t.Error("the frame is lost with the device:", err)
		}
		if now := c.Info(); now.Backend != "cpu" || !strings.Contains(now.Why, "gpu: frame: device lost") {
			t.Errorf("%+v", now)
		}
		time.Sleep(time.Hour)
		if err := look(c); err != nil || c.Info().Backend != "cpu" {
			t.Error(err, c.Info())
		}
		if _, n := b.counts(); n < 12 || n > 40 {
			t.Errorf("%d attempts in an hour", n)
		}
		b.lost.Store(false)
		b.gone.Store(false)
		time.Sleep(longestWait)
		synctest.Wait()
		if err := look(c); err != nil || c.Info().Backend != "gpu" {
			t.Error("it returned:", err, c.Info())
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, o := range b.opened {
			if o.closed != 1 || o.frames == 0 {
				t.Errorf("%s: closed %d times after %d frames", o.backend, o.closed, o.frames)
			}
		}
	})
}

// TestPausesGrow where a device that was taken back is lost again at once.
func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &box{}
		b.lost.Store(true)
		c := start(t, b, "auto")
		defer c.Close()
		returns := 0
		for begun := time.Now(); time.Since(begun) < time.Hour; time.Sleep(time.Second) {
			before, _ := b.counts()
			if err := look(c); err != nil {
				t.Fatal(err)
			}
			if now, _ := b.counts(); now > before {
				returns++
			}
		}
		if returns < 12 || returns > 40 {
			t.Errorf("taken back %d times in an hour", returns)
		}
	})
}

// TestNamed: nothing stands in for a backend that was asked for by name; frames say why,
// and the model's labels stay.
func TestNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &box{}
		c := start(t, b, "gpu")
		defer c.Close()
		b.lost.Store(true)
		b.gone.Store(true)
		for range 2 {
			if err := look(c); !errors.Is(err, backends.ErrLost) {
				t.Errorf("%v, want a lost device", err)
			}
		}
		if c.Info().Backend != "gpu" || c.Label(3) != "label 3" {
			t.Error(c.Info(), c.Label(3))
		}
		b.lost.Store(false)
		b.gone.Store(false)
		time.Sleep(2 * firstPause)
		synctest.Wait()
		if err := look(c); err != nil {
			t.Error(err)
		}
	})
}

// TestNothingStandsIn: without any other backend it is as with one by name.
func TestNothingStandsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &box{noCPU: true}
		c := start(t, b, "")
		b.lost.Store(true)
		if err := look(c); !errors.Is(err, backends.ErrLost) {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestOtherFailures are the frame's.
func TestOtherFailures(t *testing.T) {
	b := &box{failed: errors.New("damaged")}
	c := start(t, b, "auto")
	defer c.Close()
	if err := look(c); err != b.failed || len(b.opened) != 1 {
		t.Errorf("%v, %d opened", err, len(b.opened))
	}
}

// TestOtherStages: what stands in may prune at more stages or fewer, as where one backend merges and
// another does not; it keeps as many patches in the end, to one.
func TestOtherStages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &box{stages: map[string]int{"gpu": 3, "cpu": 5}}
		c := start(t, b, "")
		defer c.Close()
		classify := func(keep ...int) {
			t.Helper()
			if err := c.Classify(nil, nil, preprocess.Whole, vit.Plan{Keep: keep}); err != nil {
				t.Fatal(err)
			}
		}
		classify(137, 96, 67)
		b.gone.Store(true)
		b.lost.Store(true)
		classify(137, 96, 67)
		classify(137, 96, 67)
		classify(196, 196, 196)
		classify(158, 127, 103, 83, 67) // made for it
		want := []string{"158,127,102,83,67", "158,127,102,83,67", "196,196,196,196,196", "158,127,103,83,67"}
		if got := b.opened[1].plans; !slices.Equal(got, want) {
			t.Errorf("plans %v, want %v", got, want)
		}
		b.gone.Store(false)
		b.lost.Store(false)
		time.Sleep(2 * time.Minute)
		classify(158, 127, 103, 83, 67)
		if got := b.opened[2].plans; !slices.Equal(got, []string{"137,95,66"}) {
			t.Errorf("plans %v of the device that is back", got)
		}
	})
}
