package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"dynvit/head"
	"dynvit/modelfile"
	"dynvit/vit"
)

// Outline is what the files of a model say of it without its being opened.
type Outline struct {
	Name   string // as Info has it
	SHA256 string // likewise

	// Pass tells which models can share one run over a frame: those of the same
	// backbone, input and pruning. Of these one is opened, and the others answer by
	// their Head from its features.
	Pass string

	// Head is how the model answers from features, and nil where it reads more than
	// these: then it must be the one that is opened.
	Head *head.Head

	// Taught says that the head was taught afterwards, and is in a file of its own.
	Taught bool
}

// Taught reports whether options name a head that was taught. It reads little.
func Taught(o Options) bool {
	if o.Arch != "" {
		return false
	}
	f, _, err := OpenFile(o.Model, o.Store)
	if err != nil {
		return false // as opening it will say
	}
	defer f.Close()
	return head.Is(f)
}

// Inspect reads a model's files, wholly, without packing them.
func Inspect(o Options) (Outline, error) {
	m, err := openModel(o)
	if err != nil {
		return Outline{}, err
	}
	defer m.close()
	if m.config.Classes == 0 && m.head == nil {
		return Outline{}, noClasses(m.name)
	}
	out := Outline{Name: m.name, SHA256: m.sha256, Pass: m.pass(), Head: m.head, Taught: m.head != nil}
	if out.Head == nil {
		out.Head, err = m.ownHead()
	}
	if err != nil {
		return Outline{}, fmt.Errorf("model %s: %w", m.name, err)
	}
	return out, nil
}

// Alike reports whether two sets of options differ in the model at most, whose Pass tells
// the rest.
func (o Options) Alike(p Options) bool {
	return o.Arch == p.Arch && o.Scorer == p.Scorer && o.Backend == p.Backend && o.Precision == p.Precision &&
		o.Threads == p.Threads && slices.Equal(o.Store, p.Store) && o.Scaled == p.Scaled && o.AsStored == p.AsStored && slices.Equal(o.MergeAt, p.MergeAt) && o.Whole == p.Whole
}

// pass sums up what lies between a picture and the features: tensors, and what the
// config says beside the classifier.
func (m *model) pass() string {
	c := m.config
	c.Classes, c.Labels, c.Synsets = 0, nil, nil
	sum := sha256.New()
	fmt.Fprintf(sum, "%+v\n%s\n", c, m.backbone())
	for _, f := range m.files {
		for _, name := range f.Names() {
			if t, _ := f.Tensor(name); c.Predictors && strings.HasPrefix(name, "score_predictor.") {
				fmt.Fprintf(sum, "%s %s %v\n", name, t.DType, t.Shape)
				sum.Write(t.Data) // a hash takes all
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// backbone is the sum of its tensors, which a head has been held to.
func (m *model) backbone() string {
	if m.head != nil {
		return m.head.Backbone
	}
	return vit.BackboneSum(m.base)
}

// ownHead is a model's own classifier as one on features; nil where it is more than a
// product of them: two heads whose answers are averaged, or one that reads each patch.
func (m *model) ownHead() (*head.Head, error) {
	if m.config.Distilled || m.config.AuxHead {
		return nil, nil
	}
	weight, err := matrix(m.base, "head.weight", m.config.Classes*m.config.Features())
	if err != nil {
		return nil, err
	}
	bias, err := matrix(m.base, "head.bias", m.config.Classes)
	if err != nil {
		return nil, err
	}
	return &head.Head{Name: m.name, Labels: m.labels(), Width: m.config.Features(), Weight: weight, Bias: bias, Temperature: 1}, nil
}

// matrix reads a tensor of so many numbers.
func matrix(f *modelfile.File, name string, numbers int) ([]float32, error) {
	data, shape, err := f.Float32(name)
	if err == nil && len(data) != numbers {
		err = fmt.Errorf("tensor %s: shape %v, want %d numbers", name, shape, numbers)
	}
	return data, err
}

// Answer makes r what a head says of features that another result has: logits, scores,
// Top and Unknown. It allocates nothing after the first.
func (r *Result) Answer(h *head.Head, features []float32) error {
	r.logits(h, features)
	return r.rank()
}

// logits are a head's, and whether the features are of any of its classes.
func (r *Result) logits(h *head.Head, features []float32) {
	r.Logits = slices.Grow(r.Logits[:0], len(h.Labels))[:len(h.Labels)]
	h.Logits(features, r.Logits)
	r.Unknown = !h.Known(features)
}
