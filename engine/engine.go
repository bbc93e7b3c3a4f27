// Package engine opens a model on a backend and answers what a picture shows:
// camera.Frame in, Result out. The daemon, classify, eval, bench and
// calibration all go through it.
package engine

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"dynvit/backends"
	"dynvit/camera"
	"dynvit/head"
	"dynvit/preprocess"
	"dynvit/vit"
)

// Options choose the model and the machine. The zero value is the embedded
// default model on the best backend.
type Options struct {
	Model      string   // name in the store, path to .safetensors, or "": the embedded default
	Arch       string   // a published architecture with random weights instead of Model (vit.Named)
	Predictors string   // a file with score_predictor.* to add, or ""
	Scorer     string   // auto, or a name of vit.ScorerNames; "" = auto
	Backend    string   // auto or a name; "" = auto
	Precision  string   // auto, f32, bf16, f16, int8; "" = auto
	Threads    int      // 0 = all usable cores
	Store      []string // folders of named models, searched in order
	Scaled     bool     // large JPEGs may be decoded at a fraction of their size (preprocess.Spec)
	AsStored   bool     // pictures are not turned by their Exif (preprocess.Spec)
	Features   bool     // a backbone is taken too: Result.Features is all that it answers
	MergeAt    []int    // blocks in which merge acts instead of the model's own (vit.Config.MergeAt)
	Whole      bool     // it is shown whole pictures, squeezed into its input: as head.Head.Whole has it
}

// Info says what was opened; it does not change.
type Info struct {
	Model        string // name, as results and topics show it
	SHA256       string // of the model file, "" with Arch
	Architecture string
	Backend      string
	Why          string // why that backend and those kernels
	Device       string // what computes, where that is not the processor (backends.Facts)
	Precision    backends.Precision
	Threads      int
	Threaded     bool // whether their number has a say in how fast the backend is
	Scorer       string
	Patches      int  // patches of the input, before pruning
	Prefix       int  // tokens ahead of them, which are never dropped: CLS and others
	Stages       int  // pruning stages
	Classes      int  // 0: a backbone
	Features     int  // elements of Result.Features
	Taught       bool // classes are those of a taught head
	ShortSide    int  // pixels that the resize wants of a picture's short side
}

// AutoKeep is the keep ratio where nothing was asked for and nothing calibrated.
const AutoKeep = 0.7

// Engine is a model ready to run. One goroutine uses it at a time.
type Engine struct {
	info    Info
	config  vit.Config
	labels  []string   // one a class
	head    *head.Head // taught, or nil
	scorer  vit.Scorer
	be      backends.Backend
	session *vit.Session
	spec    preprocess.Spec
	pre     *preprocess.Preprocessor
	input   []float32
	resizer resizer
	run     vit.Result
}

// loadingGC is the collector's percentage while a model is packed, which leaves
// about as much garbage behind as the model is large: without it a box that has
// memory for a second model would need it for a third.
const loadingGC = 10

// loading is held by Open: the percentage is the process's, and two models that
// are packed at once would leave it where the first put it.
var loading sync.Mutex

// Open loads the model and opens the first candidate that serves, and that has the memory
// for it.
func Open(o Options, candidates []backends.Candidate) (*Engine, error) {
	loading.Lock()
	defer loading.Unlock()
	defer debug.SetGCPercent(debug.SetGCPercent(loadingGC))
	m, err := openModel(o)
	if err != nil {
		return nil, err
	}
	defer m.close()
	if o.MergeAt != nil {
		m.config.MergeAt = o.MergeAt
	}
	if m.config.Classes == 0 && m.head == nil && !o.Features {
		return nil, noClasses(m.name)
	}
	if _, err := vit.ParseScorer(o.Scorer, m.config, true); err != nil {
		return nil, err
	}
	for {
		be, why, err := backends.Pick(candidates, o.Backend, backends.Options{Threads: o.Threads})
		if err != nil {
			return nil, err
		}
		e := &Engine{config: m.config, labels: m.labels(), head: m.head, be: be}
		if err = e.load(m, o); err == nil {
			e.info.Why, e.info.Threads = why, o.Threads
			debug.FreeOSMemory() // what loading left behind: 10 MB of DeiT-S's 64 in int8
			if s, ok := be.(backends.Settler); ok {
				s.Settle()
			}
			return e, nil
		}
		name := be.Facts().Name
		err = errors.Join(err, be.Close())
		if !errors.Is(err, backends.ErrNoMemory) || o.Backend == name {
			return nil, fmt.Errorf("model %s: %w", m.name, err)
		}
		candidates = backends.Without(candidates, name, err)
	}
}

func noClasses(name string) error {
	return fmt.Errorf("model %s: it has no classes: a backbone without a head", name)
}

// load packs the weights, allocates, and describes what it did.
func (e *Engine) load(m *model, o Options) error {
	facts := e.be.Facts()
	p := facts.Precisions[0]
	if o.Precision != "" && o.Precision != "auto" {
		var err error
		if p, err = backends.ParsePrecision(o.Precision); err != nil {
			return err
		}
	}
	w, err := vit.Load(e.be, m.config, m.tensors, p)
	if err != nil {
		return err
	}
	_, merges := e.be.(backends.Merger)
	if e.scorer, err = vit.ParseScorer(o.Scorer, m.config, merges); err != nil {
		return err
	}
	if e.session, err = vit.NewSession(e.be, w, e.scorer); err != nil {
		return err
	}
	e.spec = inputSpec(m.config, o)
	if e.pre, err = preprocess.New(e.spec); err != nil {
		return err
	}
	if e.input = e.session.Input().Host; e.input == nil {
		e.input = make([]float32, e.pre.Len())
	}
	e.resizer = resizer{spec: e.spec, made: map[[2]int]backends.Resizing{}}
	e.resizer.be, _ = e.be.(backends.Resizer)
	c := m.config
	short := c.Resize
	if short == 0 {
		short = c.ImageSize
	}
	e.info = Info{
		Model: m.name, SHA256: m.sha256, Architecture: c.Architecture, Backend: facts.Name, Device: facts.Device, Threaded: facts.Threaded, Precision: p,
		Scorer: e.scorer.String(), Patches: c.Patches(), Prefix: c.Prefix(), Stages: len(c.Stages(e.scorer)), Classes: len(e.labels), Features: c.Features(), Taught: e.head != nil, ShortSide: short,
	}
	return nil
}

func inputSpec(c vit.Config, o Options) preprocess.Spec {
	s := preprocess.Spec{
		Size: c.ImageSize, Resize: c.Resize, Squash: c.Squash, FloorCrop: c.FloorCrop, Mean: c.Mean, Std: c.Std,
		Patch: c.PatchSize, Scaled: o.Scaled, AsStored: o.AsStored,
	}
	if c.Interpolation == "bilinear" {
		s.Filter = preprocess.Bilinear
	}
	if c.ConvStem > 0 {
		s.Layout = preprocess.Pixels
	}
	return s
}

// Close frees the backend; it may be called twice.
func (e *Engine) Close() error { return e.be.Close() }

// Info says what was opened.
func (e *Engine) Info() Info { return e.info }

// Input is what the model wants of a picture, decoded exactly.
func (e *Engine) Input() preprocess.Spec { return inputSpec(e.config, Options{}) }

// Label is the name of class i, 0 <= i < Classes; its number where the model
// has no labels.
func (e *Engine) Label(class int) string { return e.labels[class] }

// labels are the names of a model's classes; numbers, made once, where it has
// none.
func (m *model) labels() []string {
	switch {
	case m.head != nil:
		return m.head.Labels
	case len(m.config.Labels) > 0:
		return m.config.Labels
	}
	labels := make([]string, m.config.Classes)
	for i := range labels {
		labels[i] = strconv.Itoa(i)
	}
	return labels
}

// Class finds a class by synset id, number or label; -1 where there is none.
func (e *Engine) Class(name string) int {
	if e.head == nil {
		if i := slices.Index(e.config.Synsets, name); i >= 0 {
			return i
		}
	}
	if i := slices.Index(e.labels, name); i >= 0 {
		return i
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(e.labels) {
		return i
	}
	return -1
}

// Plan turns what a user asks for into counts that fit the model; auto is
// AutoKeep.
func (e *Engine) Plan(k vit.Keep) (vit.Plan, error) {
	if k.IsAuto() {
		k.Ratio = AutoKeep
	}
	p := vit.Plan{Keep: k.Counts}
	if k.Counts == nil {
		var err error
		if p, err = e.config.PlanFor(k.Ratio, e.scorer); err != nil {
			return p, err
		}
	}
	return p, p.Check(e.info.Patches, e.info.Stages)
}

// Ratio is the keep ratio that results show for what was asked for.
func (e *Engine) Ratio(k vit.Keep, p vit.Plan) float64 {
	switch {
	case k.Counts != nil:
		return e.config.RatioOf(p, e.scorer)
	case k.IsAuto():
		return AutoKeep
	}
	return k.Ratio
}

// MACs counts the multiply-adds of one frame under a plan.
func (e *Engine) MACs(p vit.Plan) int64 { return e.config.MACs(p, e.scorer) }

// Precisions are the names of those that the backend carries, the fastest first.
func (e *Engine) Precisions() []string {
	var names []string
	for _, p := range e.be.Facts().Precisions {
		names = append(names, p.String())
	}
	return names
}

// Peak measures what the backend's arithmetic could do in the model's precision,
// in operations a second (backends.Prober); 0 where the backend cannot tell.
func (e *Engine) Peak() float64 {
	if p, ok := e.be.(backends.Prober); ok {
		return p.Peak(e.info.Precision)
	}
	return 0
}

// Classify decodes, preprocesses and runs one frame. region is the part of the
// picture to look at (preprocess.Whole for all of it). r's memory is reused:
// after the first frame of a size nothing is allocated but what the JPEG or PNG
// decoder takes. A damaged picture is an error that leaves the engine usable. A frame
// that r's Watcher does not want is ErrStill.
func (e *Engine) Classify(r *Result, f *camera.Frame, region preprocess.Region, p vit.Plan) error {
	start := time.Now()
	in, err := e.prepare(r, f, region)
	if err != nil {
		return err
	}
	ready := time.Now()
	e.run.WantKept, e.run.WantFeatures = r.WantKept, r.WantFeatures || e.head != nil
	if err := e.look(in, p); err != nil {
		return err
	}
	end := time.Now()
	r.Latency, r.Frame = end.Sub(ready), end.Sub(start)
	e.answer(r)
	r.Tokens = append(r.Tokens[:0], e.run.Tokens...)
	r.Kept, r.Groups = e.run.Kept, e.run.Groups
	r.Picture = nil
	if r.WantPicture {
		r.Picture = in.picture
	}
	r.Damaged = in.damaged
	return r.rank()
}

// look runs the model.
func (e *Engine) look(in made, p vit.Plan) error {
	if in.data == nil {
		return e.session.RunPrepared(p, &e.run)
	}
	return e.session.Run(in.data, p, &e.run)
}

// Watcher is shown a frame in small once it is decoded, before the model is run.
type Watcher interface {
	// Thumbnail is where it goes.
	Thumbnail() *preprocess.Thumbnail
	// Looks reports whether the model is to look at the frame; seen is false where there
	// is no thumbnail of it.
	Looks(seen bool) bool
}

// ErrStill says that the watcher wanted no look at the frame.
var ErrStill = errors.New("the frame is still")

func (e *Engine) decode(w Watcher, f *camera.Frame, region preprocess.Region) error {
	if w == nil {
		return e.pre.Decode(f, region)
	}
	seen, err := e.pre.DecodeWatched(w.Thumbnail(), f, region)
	if err == nil && !w.Looks(seen) {
		err = ErrStill
	}
	return err
}

// answer gives r the features, where they are wanted, and the logits: the model's own,
// a taught head's, or none of a backbone.
func (e *Engine) answer(r *Result) {
	r.Features, r.Unknown = r.Features[:0], false
	if r.WantFeatures {
		r.Features = append(r.Features, e.run.Features...)
	}
	switch {
	case e.head != nil:
		r.logits(e.head, e.run.Features)
	case e.config.Classes == 0:
		r.Logits = r.Logits[:0]
	default:
		r.Logits = append(r.Logits[:0], e.run.Logits...)
	}
}

// Result is what one frame gave. It is overwritten by the next Classify with
// the same Result; Kept, Groups and Picture also by one with another.
type Result struct {
	Logits  []float32     // [classes]
	Scores  []float32     // [classes], softmax of the logits
	Top     []int         // class numbers, best first, at most TopN
	Tokens  []int         // alive (with CLS): before the first stage, and after each
	Kept    [][]int32     // patches alive after each stage, ascending ids; only if WantKept
	Groups  [][]int32     // the id that each patch lives on in after each stage, -1: dropped; only if WantKept and the scorer merges
	Unknown bool          // the picture shows none of the classes, by a taught head's rule
	Latency time.Duration // model alone: normalised input to logits
	Frame   time.Duration // decode, preprocess and model
	Picture []byte        // [S, S, 3], rows from the top, R, G, B: what the model was shown; only if WantPicture
	Damaged bool          // the picture lacks a part (preprocess.Preprocessor.Damaged)

	Features []float32 // [Info.Features] what the head reads; only if WantFeatures

	Shared *Input // set before Classify where other engines look at the frame too; else nil

	TopN         int     // set before Classify for another number of Top than 5
	WantKept     bool    // set before Classify
	WantFeatures bool    // likewise
	WantPicture  bool    // likewise; costs nothing: the engine has it anyway
	Watcher      Watcher // set before Classify; nil: nobody watches
}

const defaultTop = 5

// rank fills Scores and Top; ties go to the lower class. Logits that are no
// numbers are an error: a model that overflows must not name anything.
func (r *Result) rank() error {
	most := float32(math.Inf(-1))
	for i, v := range r.Logits {
		if v-v != 0 {
			return fmt.Errorf("logit %d is %v: the model overflows at this precision", i, v)
		}
		most = max(most, v)
	}
	sum := 0.0
	r.Scores = r.Scores[:0]
	for _, v := range r.Logits {
		s := math.Exp(float64(v - most))
		sum += s
		r.Scores = append(r.Scores, float32(s))
	}
	for i := range r.Scores {
		r.Scores[i] = float32(float64(r.Scores[i]) / sum)
	}
	n := r.TopN
	if n == 0 {
		n = defaultTop
	}
	r.top(min(n, len(r.Logits)))
	return nil
}

// top keeps the n best classes by insertion.
func (r *Result) top(n int) {
	r.Top = r.Top[:0]
	for class, v := range r.Logits {
		at := len(r.Top)
		for at > 0 && r.Logits[r.Top[at-1]] < v {
			at--
		}
		if at >= n {
			continue
		}
		if len(r.Top) < n {
			r.Top = append(r.Top, 0)
		}
		copy(r.Top[at+1:], r.Top[at:])
		r.Top[at] = class
	}
}
