package lineup

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dynvit/backends"
	"dynvit/backends/all"
	"dynvit/camera"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/head"
	"dynvit/modelfile"
	"dynvit/preprocess"
	"dynvit/tuning"
	"dynvit/vit"
)

// small is a model that takes no time.
func small(classes int) vit.Config {
	c := vit.Config{Architecture: "vit", ImageSize: 32, PatchSize: 16, Width: 64, Depth: 4, Heads: 1, Hidden: 128, Classes: classes,
		Eps: 1e-6, SkipLam: 1, QKVBias: true, Resize: 36, Interpolation: "bicubic", Std: [3]float32{1, 1, 1}, PruneAt: []int{1, 2, 3}}
	for i := range classes {
		c.Labels = append(c.Labels, fmt.Sprint("class ", i))
	}
	return c
}

// store is a folder of models.
type store struct {
	t   testing.TB
	dir string
}

// model writes one whose backbone is of a seed; other heads are of other classes.
func (s store) model(name string, c vit.Config, seed uint64) *modelfile.File {
	s.t.Helper()
	tensors, err := vit.Random{Config: c, Seed: seed}.Tensors()
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(s.dir, name+".safetensors")
	if err := modelfile.Write(path, c.Manifest().Encode(), tensors); err != nil {
		s.t.Fatal(err)
	}
	f, err := modelfile.Open(path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { f.Close() })
	return f
}

// taught writes a head that was taught on a model of the store, whose labels read the
// features from the i-th on.
func (s store) taught(name, base string, on, beside *modelfile.File, width, i int, labels ...string) {
	s.t.Helper()
	h := &head.Head{Backbone: vit.BackboneSum(on), Base: base, Labels: labels, Width: width, Temperature: 0.5,
		Weight: make([]float32, len(labels)*width), Bias: make([]float32, len(labels))}
	for class := range labels {
		h.Weight[class*width+i+class] = 1
	}
	if err := h.Write(filepath.Join(s.dir, name+".safetensors"), beside); err != nil {
		s.t.Fatal(err)
	}
}

// counting opens engines and counts what they pack.
type counting struct {
	opened []string
	packed int // numbers
}

func (c *counting) open(o engine.Options) (tuning.Classifier, error) {
	c.opened = append(c.opened, o.Model)
	e, err := engine.Open(o, []backends.Candidate{{Name: "ref", Auto: true, Open: func(o backends.Options) (backends.Backend, error) {
		for _, candidate := range all.List() {
			if candidate.Name == "ref" {
				be, err := candidate.Open(o)
				return packing{be, &c.packed}, err
			}
		}
		return nil, backends.ErrUnavailable
	}}})
	if err != nil {
		return nil, err
	}
	return e, nil
}

func openReal(o engine.Options) (tuning.Classifier, error) { return engine.Open(o, all.List()) }

type packing struct {
	backends.Backend
	numbers *int
}

func (p packing) Pack(w []float32, out, in int, bias []float32, as backends.Precision) (backends.Weight, error) {
	*p.numbers += out * in
	return p.Backend.Pack(w, out, in, bias, as)
}

func wanting(models ...string) *config.Config {
	c := config.Default("box")
	c.Scorer, c.Backend, c.Precision, c.Threads = "attention", "ref", "f32", 1
	cam := config.DefaultCamera()
	cam.Source = "test:"
	for _, m := range models {
		cam.Models = append(cam.Models, config.Model{Name: m})
	}
	c.Cameras["yard"] = cam
	return &c
}

func grey(at byte) *camera.Frame {
	f := &camera.Frame{Format: camera.RGB24, Width: 40, Height: 36, Data: make([]byte, 40*36*3)}
	for i := range f.Data {
		f.Data[i] = byte(i*int(at) + i/97)
	}
	return f
}

// TestShared: models of one backbone are opened once, and say what each says alone.
func TestShared(t *testing.T) {
	s := store{t, t.TempDir()}
	house := s.model("house", small(3), 1)
	s.model("same", small(3), 1) // another file of the same
	bare := small(0)
	backbone := s.model("backbone", bare, 2)
	s.taught("door", "house", house, nil, 64, 0, "open", "closed")
	s.taught("weather", "house", house, nil, 64, 5, "rain", "snow", "sun")
	s.taught("bird", "backbone", backbone, nil, 64, 9, "robin", "wren")
	s.taught("bundle", "gone", backbone, backbone, 64, 3, "left", "right")
	otherwise := small(3)
	otherwise.PruneAt = []int{2}
	s.model("otherwise", otherwise, 1)
	for _, c := range []struct {
		models []string
		opened string
	}{
		{[]string{"house", "door", "weather"}, "house"},
		{[]string{"door", "weather"}, "door"},
		{[]string{"weather", "house"}, "weather"},
		{[]string{"bird", "door", "bundle", "weather"}, "bird door"},
		{[]string{"house", "otherwise"}, "house otherwise"},
		{[]string{"bird"}, "bird"},
	} {
		t.Run(strings.Join(c.models, " "), func(t *testing.T) {
			conf, opens := wanting(c.models...), new(counting)
			l := mustOpen(t, conf, opens, s)
			if got := strings.Join(opens.opened, " "); got != c.opened {
				t.Errorf("opened %s, want %s", got, c.opened)
			}
			a, err := l.Ask(conf)
			if err != nil {
				t.Fatal(err)
			}
			for _, keep := range []float64{1, 0.5} {
				for _, frame := range []*camera.Frame{grey(1), grey(7)} {
					views := a.Cameras["yard"]
					passes := Passes(views)
					var plans []vit.Plan
					for _, p := range passes {
						plan, err := p.Plan(vit.Keep{Ratio: keep})
						if err != nil {
							t.Fatal(err)
						}
						plans = append(plans, plan)
					}
					if _, _, err := Look(passes, frame, preprocess.Whole, plans, nil); err != nil {
						t.Fatal(err)
					}
					for i, v := range views {
						s.sameAsAlone(t, c.models[i], v.Model, frame, keep)
					}
				}
			}
		})
	}
}

func mustOpen(t testing.TB, c *config.Config, opens *counting, s store) *Lineup {
	t.Helper()
	l, err := Open(c, Source{opens.open, engine.Inspect, []string{s.dir}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// sameAsAlone holds what a model says of a frame beside others to what it says alone.
func (s store) sameAsAlone(t *testing.T, name string, m *Model, frame *camera.Frame, keep float64) {
	t.Helper()
	e, err := engine.Open(engine.Options{Model: name, Scorer: "attention", Backend: "ref", Precision: "f32", Threads: 1, Store: []string{s.dir}, Scaled: true}, all.List())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	plan, err := e.Plan(vit.Keep{Ratio: keep})
	if err != nil {
		t.Fatal(err)
	}
	var want engine.Result
	if err := e.Classify(&want, frame, preprocess.Whole, plan); err != nil {
		t.Fatal(err)
	}
	got, err := m.Answer()
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != name || m.SHA256() != e.Info().SHA256 || m.Classes() != e.Info().Classes {
		t.Errorf("%s: is called %s, with %d classes", name, m.Name, m.Classes())
	}
	if !slices.Equal(got.Top, want.Top) || got.Unknown != want.Unknown {
		t.Errorf("%s: %v, alone %v", name, got.Top, want.Top)
	}
	for class, score := range want.Scores {
		if math.Abs(float64(got.Scores[class]-score)) > 1e-6 || m.Label(class) != e.Label(class) {
			t.Errorf("%s at %v: %s %v, alone %s %v", name, keep, m.Label(class), got.Scores[class], e.Label(class), score)
		}
	}
}

// TestOnePackedCopy: a further head packs nothing, another backbone all of its own.
func TestOnePackedCopy(t *testing.T) {
	s := store{t, t.TempDir()}
	house := s.model("house", small(3), 1)
	s.model("barn", small(3), 2)
	s.taught("door", "house", house, nil, 64, 0, "open", "closed")
	s.taught("weather", "house", house, nil, 64, 5, "rain", "snow", "sun")
	packed := func(models ...string) int {
		opens := new(counting)
		mustOpen(t, wanting(models...), opens, s)
		return opens.packed
	}
	one := packed("house")
	if all := packed("house", "door", "weather"); all != one || one == 0 {
		t.Errorf("%d numbers are packed of one model, %d of three", one, all)
	}
	if two := packed("house", "barn"); two != 2*one {
		t.Errorf("%d numbers are packed of one backbone, %d of two", one, two)
	}
}

// TestHeadsThatReadMore: a model whose answer is no product of the features is the one
// that is opened, wherever it stands; two of them are not shared.
func TestHeadsThatReadMore(t *testing.T) {
	s := store{t, t.TempDir()}
	distilled := small(3)
	distilled.Distilled = true
	file := s.model("distilled", distilled, 1)
	s.model("distilled-too", distilled, 1)
	s.taught("door", "distilled", file, nil, 64, 0, "open", "closed")
	opens := new(counting)
	l := mustOpen(t, wanting("door", "distilled"), opens, s)
	if got := strings.Join(opens.opened, " "); got != "distilled" {
		t.Errorf("opened %s", got)
	}
	if err := l.Warm(context.Background(), mustAsk(t, l, wanting("door", "distilled")), new(Lineup)); err != nil {
		t.Error(err)
	}
	if a, err := l.models["door"].Answer(); err != nil || len(a.Scores) != 2 {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := l.models["distilled"].Answer(); err != nil || len(a.Scores) != 3 {
		t.Errorf("%+v, %v", a, err)
	}
}

func mustAsk(t *testing.T, l *Lineup, c *config.Config) Asked {
	t.Helper()
	a, err := l.Ask(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAsked: what a configuration asks of models that cannot do it is an error of its
// key, and names the model where there are several.
func TestAsked(t *testing.T) {
	s := store{t, t.TempDir()}
	s.model("house", small(3), 1)
	otherwise := small(3)
	otherwise.PruneAt = []int{2}
	s.model("one stage", otherwise, 1)
	ask := func(c *config.Config) error {
		_, err := mustOpen(t, c, new(counting), s).Ask(c)
		return err
	}
	keeps := wanting("one stage")
	keeps.Latency.Keep = vit.Keep{Counts: []int{3, 2, 1}}
	if err := ask(keeps); err == nil || !strings.HasPrefix(err.Error(), "latency.keep: ") || strings.Contains(err.Error(), "one stage") {
		t.Error(err)
	}
	keeps = wanting("house")
	keeps.Cameras["door"] = config.Camera{Source: "test:", Model: "one stage"}
	keeps.Latency.Keep = vit.Keep{Counts: []int{3, 2, 1}}
	if err := ask(keeps); err == nil || !strings.HasPrefix(err.Error(), "latency.keep: model one stage: ") {
		t.Error(err)
	}
	if err := ask(wanting("one stage")); err != nil {
		t.Errorf("the only model, whose topics do not carry its name: %v", err)
	}
	if err := ask(wanting("house", "one stage")); err == nil || !strings.HasPrefix(err.Error(), `cameras.yard.models: model "one stage": want a name of letters`) {
		t.Error(err)
	}
}

// TestBrokenModel: one line that names the key, and nothing is opened.
func TestBrokenModel(t *testing.T) {
	s := store{t, t.TempDir()}
	house := s.model("house", small(3), 1)
	s.model("bare", small(0), 1)
	s.taught("orphan", "gone", house, nil, 64, 0, "open", "closed")
	if err := modelfile.Write(filepath.Join(s.dir, "empty.safetensors"), nil, nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"missing": "cameras.yard.models: model missing: not in the store",
		"bare":    "cameras.yard.models: model bare: it has no classes",
		"orphan":  "cameras.yard.models: model orphan: its backbone gone",
		"empty":   "cameras.yard.models: model empty: ",
	} {
		opens := new(counting)
		_, err := Open(wanting("house", name), Source{opens.open, engine.Inspect, []string{s.dir}})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") || len(opens.opened) > 0 {
			t.Errorf("%s: %v, opened %q", name, err, opens.opened)
		}
	}
}

// TestRenew: what stays is the same, a head that is new or was taught again takes its
// place on the pass that runs, and what is missing is opened.
func TestRenew(t *testing.T) {
	s := store{t, t.TempDir()}
	house := s.model("house", small(3), 1)
	s.model("barn", small(2), 2)
	s.taught("door", "house", house, nil, 64, 0, "open", "closed")
	from := func(o *counting) Source { return Source{o.open, engine.Inspect, []string{s.dir}} }
	own := wanting()
	own.Model = "house"
	opens := new(counting)
	first, err := Open(own, from(opens))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	renew := func(l *Lineup, c *config.Config, opened string) *Lineup {
		t.Helper()
		opens.opened = nil
		c.Model = "house"
		next, err := l.Renew(c, from(opens))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(opens.opened, " "); got != opened {
			t.Errorf("opened %q, want %q", got, opened)
		}
		return next
	}
	second := renew(first, wanting("house", "door"), "")
	if second.Passes[0] != first.Passes[0] || second.Models[0] != first.Models[0] || len(second.Passes) != 1 || len(second.Models) != 2 {
		t.Errorf("%+v", second)
	}
	s.taught("door", "house", house, nil, 64, 7, "open", "closed", "ajar")
	third := renew(second, wanting("door", "house"), "")
	if third.models["door"] == second.models["door"] || third.models["door"].Classes() != 3 || third.models["house"] != second.models["house"] {
		t.Errorf("%+v", third.models)
	}
	if again := renew(third, wanting("door", "house"), ""); again.models["door"] != third.models["door"] {
		t.Error("a head that is the same was taken for another")
	}
	fourth := renew(third, wanting("barn", "door"), "barn")
	if err := fourth.CloseBut(third); err != nil || len(fourth.Passes) != 2 {
		t.Errorf("%+v, %v", fourth, err)
	}
	opens.opened = nil
	if _, err := third.Renew(wanting("barn", "gone"), from(opens)); err == nil || len(opens.opened) > 0 {
		t.Errorf("%v, opened %q", err, opens.opened)
	}
}

// TestSharedAllocatesNothing: no frame, by whatever model.
func TestSharedAllocatesNothing(t *testing.T) {
	s := store{t, t.TempDir()}
	house := s.model("house", small(3), 1)
	s.taught("door", "house", house, nil, 64, 0, "open", "closed")
	s.model("barn", small(3), 2)
	conf := wanting("house", "door", "barn")
	conf.Backend = "portable"
	l, err := Open(conf, Source{openReal, engine.Inspect, []string{s.dir}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, frame := mustAsk(t, l, conf), grey(3)
	plans := []vit.Plan{a.Plans[l.Passes[0]].Plan, a.Plans[l.Passes[1]].Plan}
	look := func() {
		if _, _, err := Look(l.Passes, frame, preprocess.Whole, plans, nil); err != nil {
			t.Fatal(err)
		}
		for _, m := range l.Models {
			if _, err := m.Answer(); err != nil {
				t.Fatal(err)
			}
		}
	}
	look()
	if n := testing.AllocsPerRun(10, look); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// BenchmarkHead measures a further head of ten classes on a frame of the embedded model,
// beside that frame: medians, and the share of the head.
func BenchmarkHead(b *testing.B) {
	s := store{b, b.TempDir()}
	base, _, err := engine.OpenFile("", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer base.Close()
	s.taught("taught", "imagenette", base, nil, 192, 0, "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
	c := wanting("imagenette", "taught")
	c.Backend, c.Precision = "auto", "auto"
	l, err := Open(c, Source{openReal, engine.Inspect, []string{s.dir}})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	plan, err := l.Passes[0].Plan(vit.Keep{})
	if err != nil {
		b.Fatal(err)
	}
	frame := grey(3)
	frame.Width, frame.Height, frame.Data = 320, 240, make([]byte, 320*240*3)
	var frames, heads []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, _, err := Look(l.Passes, frame, preprocess.Whole, []vit.Plan{plan}, nil); err != nil {
			b.Fatal(err)
		}
		looked := time.Now()
		if _, err := l.Models[1].Answer(); err != nil {
			b.Fatal(err)
		}
		frames, heads = append(frames, looked.Sub(start)), append(heads, time.Since(looked))
	}
	slices.Sort(frames)
	slices.Sort(heads)
	of, head := frames[len(frames)/2], heads[len(heads)/2]
	b.ReportMetric(float64(of.Microseconds()), "µs/frame")
	b.ReportMetric(float64(head.Nanoseconds())/1000, "µs/head")
	b.ReportMetric(100*float64(head)/float64(of), "%")
}
