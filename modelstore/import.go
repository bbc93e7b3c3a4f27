// Package modelstore brings models into the folder of named models: from a
// checkpoint at hand, or from the address where one is published.
package modelstore

import (
	"fmt"
	"maps"

	"dynvit/checkpoint"
	"dynvit/modelfile"
	"dynvit/modelnames"
	"dynvit/vit"
)

// ImportOptions say what goes before what a checkpoint says of itself.
type ImportOptions struct {
	Given  map[string]string // metadata, as modelfile.ParseManifest takes it
	Labels string            // file of class names, "" for none
	Key    string            // entry or prefix of the model, where a checkpoint has several
	Strict bool              // warnings are errors
}

// Imported is what became of a checkpoint.
type Imported struct {
	Config   vit.Config
	Values   []Value  // what the model file says of the model, in its order
	Notes    []string // what was taken of the checkpoint and what was passed over
	Warnings []string // what may be wrong without anything showing it
}

// Import turns the checkpoint in, a file or a folder of another program, into the model
// file out. What is given goes before what the files beside the weights say, that before
// the weights' own metadata, and that before what names and shapes tell. Nothing is
// written on an error, which names in.
func Import(in, out string, o ImportOptions) (Imported, error) {
	c, err := checkpoint.Open(in, checkpoint.Options{Key: o.Key})
	if err != nil {
		return Imported{}, err
	}
	defer c.Close()
	m, tensors, err := convert(c, nil, o)
	if err != nil {
		return m, fmt.Errorf("%s: %w", c.Path, err)
	}
	if o.Strict && len(m.Warnings) > 0 {
		return m, fmt.Errorf("%s: refused for --strict: %s", c.Path, more(m.Warnings))
	}
	return m, modelfile.Write(out, metadata(m), tensors)
}

// more is the first of some lines, and how many there are besides.
func more(lines []string) string {
	if len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("%s (and %d more)", lines[0], len(lines)-1)
}

// convert makes a model file's tensors of a checkpoint's.
func convert(c *checkpoint.Checkpoint, predictors *modelfile.File, o ImportOptions) (Imported, []modelfile.Tensor, error) {
	m := Imported{Notes: c.Notes, Warnings: c.Warnings}
	named, dialect, err := modelnames.Canonical(c.Tensors)
	if err != nil {
		return m, nil, err
	}
	facts := append([]checkpoint.Facts{usual(dialect)}, c.Facts...)
	facts = append(facts, checkpoint.Facts{From: "flag", Meta: o.Given})
	merged, err := merge(facts, o.Labels)
	if err != nil {
		return m, nil, err
	}
	written, tensors, config, err := vit.Import(modelfile.New(nil, named), predictors, merged.manifest)
	m.Config = config
	if err != nil {
		return m, nil, merged.blame(err)
	}
	m.Values = merged.explain(written, config)
	m.Warnings = append(m.Warnings, merged.doubts(config)...)
	return m, tensors, nil
}

// metadata is that of the model file.
func metadata(m Imported) map[string]string {
	meta := map[string]string{}
	for _, v := range m.Values {
		if v.written {
			meta[v.Key] = v.Text
		}
	}
	return meta
}

// usual is what models of a dialect are like where nothing says otherwise.
func usual(d modelnames.Dialect) checkpoint.Facts {
	meta := map[string]string{}
	for _, from := range []map[string]string{pictures[d.Name], d.Meta} {
		maps.Copy(meta, from)
	}
	return checkpoint.Facts{From: "assumed, as in " + d.Name, Meta: meta, Assumed: true}
}

// pictures is what programs do to a picture by default, where that is not what vit takes for
// granted: transformers' ViTImageProcessor, torchvision's ViT_B_16_Weights.IMAGENET1K_V1.
var pictures = map[string]map[string]string{
	"Hugging Face": {"mean": "0.5,0.5,0.5", "std": "0.5,0.5,0.5", "resize": "warp", "interpolation": "bilinear"},
	"torchvision":  {"interpolation": "bilinear"},
}
