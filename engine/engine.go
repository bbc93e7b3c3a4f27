// Package engine opens a model on a backend and answers what a picture shows:
// camera.Frame in, Result out. The daemon, classify, eval, bench and
// calibration all go through it.
package engine

import (
	"time"

	"dynvit/backends"
	"dynvit/camera"
	"dynvit/preprocess"
	"dynvit/vit"
)

// Options choose the model and the machine. The zero value is the embedded
// default model, at keep auto, on the best backend.
type Options struct {
	Model      string   // name in the store, path to .safetensors, or "": the embedded default
	Predictors string   // a file with score_predictor.* to add, or ""
	Scorer     string   // auto, predictor, attention, cls-attention; "" = auto
	Backend    string   // auto or a name; "" = auto
	Precision  string   // auto, f32, bf16, f16, int8; "" = auto
	Threads    int      // 0 = all usable cores
	Store      []string // folders of named models, searched in order
}

// Info says what was opened; it does not change.
type Info struct {
	Model        string // name, as results and topics show it
	SHA256       string // of the model file (and the predictors file, where one was added)
	Architecture string
	Backend      string
	Why          string // why that backend and those kernels
	Precision    backends.Precision
	Threads      int
	Scorer       string
	Patches      int // patches of the input, before pruning
	Stages       int // pruning stages
	Classes      int
	ShortSide    int // pixels that the resize wants of a picture's short side
}

// Engine is a model ready to run. One goroutine uses it at a time.
type Engine struct{}

// Open loads the model and opens the first candidate that serves.
func Open(o Options, candidates []backends.Candidate) (*Engine, error) { panic("not yet") }

// Close frees the backend.
func (e *Engine) Close() error { panic("not yet") }

// Info says what was opened.
func (e *Engine) Info() Info { panic("not yet") }

// Label is the name of class i, 0 <= i < Classes; its number where the model
// has no labels.
func (e *Engine) Label(class int) string { panic("not yet") }

// Plan turns what a user asks for into counts; auto is keep 0.7.
func (e *Engine) Plan(k vit.Keep) (vit.Plan, error) { panic("not yet") }

// Classify decodes, preprocesses and runs one frame. region is the part of the picture to look at
// (preprocess.Whole for all of it). r's memory is reused: after the first
// frame nothing is allocated but what the JPEG or PNG decoder takes. A damaged picture is
// an error that leaves the engine usable.
func (e *Engine) Classify(r *Result, f *camera.Frame, region preprocess.Region, p vit.Plan) error {
	panic("not yet")
}

// Result is what one frame gave. It is overwritten by the next Classify with
// the same Result.
type Result struct {
	Logits  []float32     // [classes]
	Scores  []float32     // [classes], softmax of the logits
	Top     []int         // class numbers, best first, at most 5 (or TopN)
	TopN    int           // set before Classify for another number of Top; 0 = 5
	Tokens  []int         // alive (with CLS): before the first stage, and after each
	Kept    [][]int32     // patches alive after each stage, ascending ids; only if WantKept
	Latency time.Duration // model alone: normalised input to logits
	Frame   time.Duration // decode, preprocess and model

	WantKept bool // set before Classify
}
