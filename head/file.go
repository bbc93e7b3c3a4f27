package head

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dynvit/modelfile"
)

// A head's tensors and metadata have names of their own, so that a file may hold its
// backbone, and that one's head, beside them.
const (
	prefix  = "dynvit.head."
	version = "dynvit.head" // metadata: the format's, "1"

	keyLabels      = prefix + "labels" // as modelfile.Manifest has classes
	keyBackbone    = prefix + "backbone"
	keyBase        = prefix + "base"
	keyTemperature = prefix + "temperature"
	keyThreshold   = prefix + "threshold"
	keyPicture     = prefix + "picture" // "whole", or not there: as the backbone wants them
	keyNote        = prefix + "note."

	nameWeight  = prefix + "weight"
	nameBias    = prefix + "bias"
	nameCentres = prefix + "none.centres"
)

// Limits of a head: classes, features, and centres of None.
const (
	MostLabels  = 1000
	mostWidth   = 8192
	mostCentres = 16384
)

// Is reports whether a file holds a head.
func Is(f *modelfile.File) bool { return f.Meta[version] != "" }

// Load reads a head from its file.
func Load(path string) (*Head, error) {
	f, err := modelfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, err := Parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	h.Name = strings.TrimSuffix(filepath.Base(path), ".safetensors")
	return h, nil
}

// Parse reads the head of a file, but for its name. The head keeps nothing of the file.
func Parse(f *modelfile.File) (*Head, error) {
	if v := f.Meta[version]; v != "1" {
		return nil, fmt.Errorf("metadata %s %.20q: want 1", version, v)
	}
	p := parser{f: f}
	h := &Head{Backbone: f.Meta[keyBackbone], Base: f.Meta[keyBase], Note: p.notes()}
	h.Labels = p.labels()
	var shape [2]int
	h.Weight, shape = p.matrix(nameWeight, MostLabels, mostWidth)
	h.Width = shape[1]
	h.Bias = p.vector(nameBias, shape[0])
	h.Temperature = p.number(keyTemperature)
	h.Whole = p.whole()
	if f.Has(nameCentres) || f.Meta[keyThreshold] != "" {
		h.None = p.none(h.Width)
	}
	if p.err != nil {
		return nil, p.err
	}
	return h, h.Check()
}

// parser reads parts; after the first error nothing more happens.
type parser struct {
	f   *modelfile.File
	err error
}

func (p *parser) labels() []string {
	m, err := modelfile.ParseManifest(map[string]string{"classes": p.f.Meta[keyLabels]})
	if err != nil {
		p.err = fmt.Errorf("metadata %s: %w", keyLabels, errors.Unwrap(err))
	}
	return m.Classes
}

func (p *parser) notes() map[string]string {
	notes := map[string]string{}
	for key, value := range p.f.Meta {
		if short, is := strings.CutPrefix(key, keyNote); is {
			notes[short] = value
		}
	}
	return notes
}

// matrix reads a tensor of two dimensions within bounds.
func (p *parser) matrix(name string, mostRows, mostCols int) (data []float32, shape [2]int) {
	if p.err != nil {
		return nil, shape
	}
	t, ok := p.f.Tensor(name)
	if !ok || len(t.Shape) != 2 || t.Shape[0] < 1 || t.Shape[0] > mostRows || t.Shape[1] < 1 || t.Shape[1] > mostCols {
		p.err = fmt.Errorf("tensor %s: shape %v, want 1 to %d rows of 1 to %d", name, t.Shape, mostRows, mostCols)
		return nil, shape
	}
	data, _, p.err = p.f.Float32(name)
	return data, [2]int(t.Shape)
}

func (p *parser) vector(name string, n int) (data []float32) {
	if p.err != nil {
		return nil
	}
	if t, ok := p.f.Tensor(name); !ok || !slices.Equal(t.Shape, []int{n}) {
		p.err = fmt.Errorf("tensor %s: shape %v, want [%d]", name, t.Shape, n)
		return nil
	}
	data, _, p.err = p.f.Float32(name)
	return data
}

func (p *parser) number(key string) float64 {
	v, err := strconv.ParseFloat(p.f.Meta[key], 64)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("metadata %s %.40q: want a number", key, p.f.Meta[key])
	}
	return v
}

func (p *parser) whole() bool {
	v := p.f.Meta[keyPicture]
	if v != "" && v != "whole" && p.err == nil {
		p.err = fmt.Errorf("metadata %s %.20q: want whole, or nothing", keyPicture, v)
	}
	return v == "whole"
}

func (p *parser) none(width int) *None {
	centres, shape := p.matrix(nameCentres, mostCentres, mostWidth)
	if p.err == nil && shape[1] != width {
		p.err = fmt.Errorf("tensor %s: centres of %d for %d features", nameCentres, shape[1], width)
	}
	return &None{Centres: centres, Threshold: float32(p.number(keyThreshold))}
}

var sum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Check reports the first part that does not fit the others.
func (h *Head) Check() error {
	classes := len(h.Labels)
	switch {
	case classes < 1 || classes > MostLabels:
		return fmt.Errorf("%d labels: want 1 to %d", classes, MostLabels)
	case h.Width < 1 || h.Width > mostWidth || len(h.Weight) != classes*h.Width || len(h.Bias) != classes:
		return fmt.Errorf("%d weights and %d biases for %d labels and %d features", len(h.Weight), len(h.Bias), classes, h.Width)
	case !(h.Temperature > 0 && h.Temperature <= 1e6):
		return fmt.Errorf("temperature %v: want above 0, at most 1000000", h.Temperature)
	case !sum.MatchString(h.Backbone):
		return fmt.Errorf("backbone %.80q: want a SHA-256 of 64 digits", h.Backbone)
	}
	for i, label := range h.Labels {
		if slices.Contains(h.Labels[:i], label) {
			return fmt.Errorf("label %.60q comes twice", label)
		}
	}
	if h.None != nil {
		return h.None.check(h.Width)
	}
	return nil
}

func (n *None) check(width int) error {
	switch {
	case len(n.Centres) == 0 || len(n.Centres)%width != 0 || len(n.Centres)/width > mostCentres:
		return fmt.Errorf("none of these: %d numbers are no centres of %d features", len(n.Centres), width)
	case !(n.Threshold >= 0 && n.Threshold <= 2):
		return fmt.Errorf("none of these: threshold %v: want a distance of 0 to 2", n.Threshold)
	}
	for centre := range slices.Chunk(n.Centres, width) {
		if length := dot(centre, centre); !(length > 0.99 && length < 1.01) {
			return fmt.Errorf("none of these: a centre whose length squared is %v, want 1", length)
		}
	}
	return nil
}

// Meta is the metadata of the head's file.
func (h *Head) Meta() map[string]string {
	meta := map[string]string{
		version:        "1",
		keyLabels:      modelfile.Manifest{Classes: h.Labels}.Encode()["classes"],
		keyBackbone:    h.Backbone,
		keyBase:        h.Base,
		keyTemperature: strconv.FormatFloat(h.Temperature, 'g', -1, 64),
	}
	if h.None != nil {
		meta[keyThreshold] = strconv.FormatFloat(float64(h.None.Threshold), 'g', -1, 32)
	}
	if h.Whole {
		meta[keyPicture] = "whole"
	}
	for key, value := range h.Note {
		meta[keyNote+key] = value
	}
	return meta
}

// Tensors are those of the head's file.
func (h *Head) Tensors() ([]modelfile.Tensor, error) {
	var list []modelfile.Tensor
	var err error
	add := func(name string, data []float32, shape ...int) {
		t, failed := modelfile.FromFloat32(name, data, shape, modelfile.F32)
		list, err = append(list, t...), errors.Join(err, failed)
	}
	add(nameWeight, h.Weight, len(h.Labels), h.Width)
	add(nameBias, h.Bias, len(h.Labels))
	if n := h.None; n != nil {
		add(nameCentres, n.Centres, len(n.Centres)/h.Width, h.Width)
	}
	return list, err
}

// Write keeps the head in a file: alone, or where backbone is not nil with all that
// that file holds, whose tensors must be there until Write is done.
func (h *Head) Write(path string, backbone *modelfile.File) error {
	if err := h.Check(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	tensors, err := h.Tensors()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	meta := h.Meta()
	if backbone != nil {
		maps.Copy(meta, backbone.Meta)
		for _, name := range backbone.Names() {
			t, _ := backbone.Tensor(name)
			tensors = append(tensors, t)
		}
	}
	return modelfile.Write(path, meta, tensors)
}

// Bundled is the backbone that a head's file holds beside the head, nil where there is
// none. Its tensors are the file's, valid until that is closed.
func Bundled(f *modelfile.File) *modelfile.File {
	meta := maps.Clone(f.Meta)
	maps.DeleteFunc(meta, func(key, _ string) bool { return key == version || strings.HasPrefix(key, prefix) })
	var rest []modelfile.Tensor
	for _, name := range f.Names() {
		if t, _ := f.Tensor(name); !strings.HasPrefix(name, prefix) {
			rest = append(rest, t)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return modelfile.New(meta, rest)
}
