// Package modelnames gives the tensors of a vision transformer, whichever program wrote
// them, the names and shapes that timm gives them, which package vit reads:
// Hugging Face's, torchvision's and DINOv2's own.
//
// What is known to be another architecture is refused for what it is. A tensor that is
// not known keeps its name, for vit to refuse it by.
package modelnames

import (
	"dynvit/modelfile"
)

// Dialect is how a program names tensors, and what goes without saying there.
type Dialect struct {
	Name string // "timm", "Hugging Face", …
	// Meta is metadata, as modelfile.ParseManifest reads it, that holds where nothing
	// else is said: the program's defaults.
	Meta map[string]string
}

// Canonical returns the tensors by timm's names, and the dialect that they came in.
// Separate projections of q, k and v are joined; what no answer depends on, such as
// a mask token or a text tower, is left out. Names must come without the prefix of
// whatever held the model, but with Hugging Face's own. It changes nothing of in; out
// may share its memory.
func Canonical(in []modelfile.Tensor) (out []modelfile.Tensor, from Dialect, err error) {
	d := recognise(in)
	renamed, err := d.translate(in)
	if err != nil {
		return nil, d.Dialect, err
	}
	if err := refuseStrangers(renamed); err != nil {
		return nil, d.Dialect, err
	}
	if out, err = join(renamed); err != nil {
		return nil, d.Dialect, err
	}
	return out, d.Dialect, refuseShapes(out)
}
