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
	SHA256   string // its checksum; eight digits, of the official file name, where no more is public
	MaxBytes int64
	Meta     map[string]string // what the checkpoint does not say of itself
}

// Public lists the published weights: DeiT of ImageNet's 1000 classes
// (facebookresearch/deit, Apache-2.0), in order of their size.
func Public() []Weights {
	list := []Weights{
		deit("tiny", "a1311bcf4f24e3c95adaa75535db67bc4412d95535b98f7c1dfd1164dda41c97", 32<<20),
		deit("small", "cd65a15597004d0ce19d7a9daef969903972db5b398e3a5febcd3c4df1d8f59f", 128<<20),
		deit("base", "b5f2ef4d686982dcdab24fe285fd08fff40db01550d8d4833167a73dd85ca7a8", 512<<20),
	}
	list[0].Meta["merge_at"] = "3,4,6,8,10" // on 1,966 photos ahead of prune_at at every ratio: docs/method.md, "Merging"
	return list
}

func deit(size, sum string, maxBytes int64) Weights {
	url := fmt.Sprintf("https://dl.fbaipublicfiles.com/deit/deit_%s_patch16_224-%s.pth", size, sum[:8])
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
