// Package export writes models for other programs: a folder that transformers'
// from_pretrained loads.
//
// A model that transformers has a class and an image processor for is written as such: a
// ViT, or DeiT's with a distillation token. Other kinds, and models whose centre crop
// rounds as timm's, are written as a TimmWrapper, which transformers loads where timm is
// installed, and timm alone as well (local-dir:DIR). Tensors keep their type and their bits.
package export

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"dynvit/atomicfile"
	"dynvit/modelfile"
	"dynvit/vit"
)

// HuggingFace writes config.json, model.safetensors and, for a class of transformers'
// own, preprocessor_config.json into the folder dir, which is made where it is not there; files
// of these names are replaced. notes say what the folder does not hold of the model.
// What transformers could not run is refused, and nothing is written.
func HuggingFace(f *modelfile.File, c vit.Config, dir string) (notes []string, err error) {
	if err := cannot(f, c); err != nil {
		return nil, err
	}
	form := timmForm
	if isNative(c) {
		form = plainForm
	}
	tensors, documents, err := form(f, c)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	if err := modelfile.Write(filepath.Join(dir, "model.safetensors"), map[string]string{"format": "pt"}, tensors); err != nil {
		return nil, err
	}
	for name, doc := range documents {
		if err := writeJSON(filepath.Join(dir, name), doc); err != nil {
			return nil, err
		}
	}
	return lost(c), nil
}

// cannot is why no class of transformers or timm computes what the model does.
func cannot(f *modelfile.File, c vit.Config) error {
	switch {
	case c.ConvStem > 0 || c.AuxHead:
		return fmt.Errorf("an LV-ViT: neither transformers nor timm has a class for it")
	case c.SkipLam != 1:
		return fmt.Errorf("skip_lam %v: neither transformers nor timm divides residual branches", c.SkipLam)
	}
	t, ok := f.Tensor("pos_embed")
	if !ok || len(t.Shape) != 3 || t.Shape[1] != c.Patches() && t.Shape[1] != c.Patches()+c.Prefix() && t.Shape[1] != c.Patches()+c.Prefix()-c.Registers {
		return fmt.Errorf("positions %v are of another grid than the image size %d: other programs would not resample them so", t.Shape, c.ImageSize)
	}
	return nil
}

// lost is what a folder does not hold of a model.
func lost(c vit.Config) []string {
	var notes []string
	if c.Predictors {
		notes = append(notes, "the predictors are left out: other programs compute all patches")
	}
	if isNative(c) && !exactCrop(c) {
		notes = append(notes, "transformers rounds the place of the centre crop down, where this model rounds to even: pictures may lie a pixel aside")
	}
	return notes
}

// writeJSON writes a document as Python's json does with indent=2.
func writeJSON(path string, doc map[string]any) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(doc)
	})
}

// floats are numbers as short as they were given: 0.485, not 0.48500001.
func floats(v [3]float32) []json.Number {
	out := make([]json.Number, len(v))
	for i, x := range v {
		out[i] = short(x)
	}
	return out
}

func short(x float32) json.Number { return json.Number(fmt.Sprint(x)) }
