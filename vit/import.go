package vit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"dynvit/modelfile"
)

// Import turns an imported checkpoint into the tensors of a model file: those
// that the model uses, in their own precision, and their metadata. Where predictors
// is not nil, those of that file (AddPredictors) become part of the model.
func Import(f, predictors *modelfile.File, m modelfile.Manifest) (map[string]string, []modelfile.Tensor, Config, error) {
	c, err := Infer(f, m)
	if err == nil && predictors != nil {
		_, c, err = AddPredictors(c, f, predictors)
	}
	if err != nil {
		return nil, nil, c, err
	}
	var tensors []modelfile.Tensor
	for _, name := range c.names() {
		from := f
		if predictors != nil && strings.HasPrefix(name, "score_predictor.") {
			from = predictors
		}
		if name == "pos_embed" && m.PositionResize == modelfile.PlainResize {
			if from, err = c.withPositions(f); err != nil {
				return nil, nil, c, err
			}
		}
		if tensors, err = appendTensor(tensors, from, name); err != nil {
			return nil, nil, c, err
		}
	}
	out := c.Manifest()
	out.License, out.Training = m.License, m.Training
	return out.Encode(), tensors, c, nil
}

// withPositions is f's pos_embed brought to the model's grid as modelfile.PlainResize
// does it; as it is where it is of that grid.
func (c Config) withPositions(f *modelfile.File) (*modelfile.File, error) {
	pos, shape, err := f.Float32("pos_embed")
	if err != nil {
		return nil, err
	}
	side, own, err := c.grid(shape[1])
	if err != nil || side == c.Grid() {
		return f, err
	}
	d := c.Width
	resized := make([]float32, (own+c.Patches())*d)
	copy(resized, pos[:own*d])
	resize(resized[own*d:], pos[own*d:], c.Grid(), side, d, plainTaps)
	tensors, err := modelfile.FromFloat32("pos_embed", resized, []int{1, own + c.Patches(), d}, modelfile.F32)
	return modelfile.New(nil, tensors), err
}

// appendTensor appends a sound tensor of f, and its scales where it has some.
func appendTensor(list []modelfile.Tensor, f *modelfile.File, name string) ([]modelfile.Tensor, error) {
	if _, _, err := f.Float32(name); err != nil {
		return nil, err
	}
	for _, n := range []string{name, name + ".scale"} {
		if t, ok := f.Tensor(n); ok {
			list = append(list, t)
		}
	}
	return list, nil
}

// AddPredictors returns the tensors and Config of a model with the predictors of
// another file, which holds score_predictor.* and prune_at, and the scorer that they were
// learnt for where that is not predictor.
func AddPredictors(c Config, model, predictors *modelfile.File) (Tensors, Config, error) {
	m, err := modelfile.ParseManifest(predictors.Meta)
	if err != nil {
		return nil, c, err
	}
	if m.PruneAt != nil {
		c.PruneAt = m.PruneAt
	}
	stages := 0
	for ; ; stages++ {
		t, ok := predictors.Tensor(fmt.Sprintf("score_predictor.%d.in_conv.1.weight", stages))
		if !ok {
			break
		}
		if !slices.Equal(t.Shape, []int{c.Width, c.Width}) {
			return nil, c, fmt.Errorf("tensor %s: shape %v for a model of width %d", t.Name, t.Shape, c.Width)
		}
	}
	switch {
	case stages == 0:
		return nil, c, errors.New("no score_predictor.0.in_conv.1.weight: not a predictors file")
	case stages != len(c.PruneAt):
		return nil, c, fmt.Errorf("%d predictors for the %d pruning stages %v", stages, len(c.PruneAt), c.PruneAt)
	}
	c.Predictors = true
	c = c.withPredictorsFor(m.Scorer)
	if err := c.checkScorer(); err != nil {
		return nil, c, err
	}
	return overlay{predictors, model}, c, c.checkShapes(predictors)
}

// overlay looks a tensor up in the first file, then in the second.
type overlay [2]*modelfile.File

func (o overlay) Has(name string) bool { return o[0].Has(name) || o[1].Has(name) }

func (o overlay) Float32In(memory []float32, name string) ([]float32, []int, error) {
	if o[0].Has(name) {
		return o[0].Float32In(memory, name)
	}
	return o[1].Float32In(memory, name)
}
