package modelstore

import (
	"fmt"
	"path"
	"strings"
)

// Weights are a published checkpoint that Pull can bring.
type Weights struct {
	Name     string // in the store
	URL      string // its official address
	SHA256   string // what its checksum begins with: part of the official file name
	MaxBytes int64
	Meta     map[string]string // what the checkpoint does not say of itself
}

// Public lists the published weights: DeiT of ImageNet's 1000 classes
// (facebookresearch/deit, Apache-2.0), in order of their size.
func Public() []Weights {
	return []Weights{
		deit("tiny", "a1311bcf", 32<<20),
		deit("small", "cd65a155", 128<<20),
		deit("base", "b5f2ef4d", 512<<20),
	}
}

func deit(size, sum string, maxBytes int64) Weights {
	url := fmt.Sprintf("https://dl.fbaipublicfiles.com/deit/deit_%s_patch16_224-%s.pth", size, sum)
	return Weights{
		Name: "deit-" + size, URL: url, SHA256: sum, MaxBytes: maxBytes,
		Meta: map[string]string{"license": "Apache-2.0 (facebookresearch/deit)", "training": "ImageNet-1k; " + url},
	}
}

// find looks published weights up by name.
func find(list []Weights, name string) (Weights, error) {
	var names []string
	for _, w := range list {
		if w.Name == name {
			return w, nil
		}
		names = append(names, w.Name)
	}
	return Weights{}, &UnknownError{name, names}
}

// UnknownError says that nothing is published under a name.
type UnknownError struct {
	Name  string
	Known []string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("%q is not known: want %s", e.Name, strings.Join(e.Known, ", "))
}

// file is the official file name.
func (w Weights) file() string { return path.Base(w.URL) }

// predictors is the name of the file with predictors trained for these weights.
func (w Weights) predictors() string {
	return strings.ReplaceAll(w.Name, "-", "_") + "_predictors.safetensors"
}
