package stages

import (
	"maps"
	"slices"

	"dynvit/modelfile"
	"dynvit/vit"
)

// key is the metadata of Config.MergeAt.
const key = "merge_at"

// Write makes a model's file, at its own path or another, say that patches are merged at these
// blocks: those of PruneAt are not named. All else in it stays. changed is false, and its own file
// left alone, where it says so already. The file replaces path atomically.
func Write(path string, f *modelfile.File, c vit.Config, at []int) (changed bool, err error) {
	meta := maps.Clone(f.Meta)
	if delete(meta, key); !slices.Equal(at, c.PruneAt) {
		meta[key] = modelfile.FormatBlocks(at)
	}
	if meta[key] == f.Meta[key] && path == f.Path() {
		return false, nil
	}
	tensors := make([]modelfile.Tensor, 0, len(f.Names()))
	for _, name := range f.Names() {
		t, _ := f.Tensor(name)
		tensors = append(tensors, t)
	}
	return true, modelfile.Write(path, meta, tensors)
}
