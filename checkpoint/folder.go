package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dynvit/modelfile"
	"dynvit/regular"
)

// weights are the files that hold a model's tensors.
type weights struct {
	folder string // of the files beside
	path   string // for messages: the one file, or the index
	files  []string
	index  map[string]string // shard by tensor; nil without an index
}

// names are those under which transformers and timm keep weights, in the order in which
// transformers takes them.
var names = []string{"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"}

const indexEnding = ".index.json"

// endings are those of weights, some of which are read only to be refused by what they are.
var endings = []string{".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".pth.tar", ".onnx", ".gguf", ".h5", ".keras", ".msgpack", ".npz", ".pt2", ".tflite"}

// leftovers are files that a training program keeps beside the weights.
var leftovers = pattern(`^(optimizer|scheduler|scaler|training_args|rng_state|random_states|lr_scheduler)`)

// shard is the name of one file of several.
var shard = pattern(`-\d{5}-of-(\d{5})\.(safetensors|bin)$`)

// find finds the weights that a path names.
func find(path string) (weights, error) {
	if isFolder(path) {
		return findIn(path)
	}
	w := weights{folder: filepath.Dir(path), path: path, files: []string{path}}
	base := filepath.Base(path)
	if strings.HasSuffix(base, indexEnding) {
		return w.shards(base)
	}
	if m := shard().FindStringSubmatch(base); m != nil && m[1] != "00001" {
		return w, fmt.Errorf("%s: is one of %s shards: name the folder, or the index (%s)", path, strings.TrimLeft(m[1], "0"), "*"+indexEnding)
	}
	return w, nil
}

// findIn finds the weights of a folder: under the usual names, else the only file that
// ends like some.
func findIn(folder string) (weights, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return weights{}, fmt.Errorf("%s: %w", folder, regular.Pathless(err))
	}
	var there, others []string
	for _, e := range entries {
		there = append(there, e.Name())
	}
	for _, name := range names {
		if slices.Contains(there, name) {
			return find(filepath.Join(folder, name))
		}
	}
	for _, name := range there {
		if slices.Contains(endings, strings.ToLower(filepath.Ext(name))) && !leftovers().MatchString(name) {
			others = append(others, name)
		}
	}
	switch len(others) {
	case 0:
		if slices.Contains(there, "snapshots") {
			return weights{}, fmt.Errorf("%s: is a folder of the hub's cache: name the one in its snapshots", folder)
		}
		return weights{}, fmt.Errorf("%s: no weights in this folder: want model.safetensors, pytorch_model.bin, or one .safetensors, .pth, .pt, .ckpt or .bin", folder)
	case 1:
		return find(filepath.Join(folder, others[0]))
	}
	return weights{}, fmt.Errorf("%s: several files of weights: name one: %s", folder, list(others, quote))
}

// Bounds of an index: its bytes, and the files that it may name.
const (
	maxIndex  = 8 << 20
	maxShards = 1000
)

// shards reads the index of a model in several files, all of which lie beside it.
func (w weights) shards(base string) (weights, error) {
	wrong := func(err error) (weights, error) { return w, fmt.Errorf("%s: %w", w.path, err) }
	data, err := regular.Read(w.path, maxIndex)
	if err != nil {
		return wrong(regular.Pathless(err))
	}
	doc, err := parse(data)
	if err != nil {
		return wrong(err)
	}
	table, ok := doc["weight_map"].(map[string]any)
	if !ok || len(table) == 0 {
		return wrong(errors.New("weight_map: want an object of tensors and their files"))
	}
	w.files, w.index = nil, map[string]string{}
	ending := filepath.Ext(strings.TrimSuffix(base, indexEnding))
	for tensor, file := range table {
		name, ok := file.(string)
		if err := checkShard(name, ending); !ok || err != nil {
			return wrong(fmt.Errorf("weight_map %.60q: %.80q: want the name of a %s file beside the index", tensor, fmt.Sprint(file), ending))
		}
		w.index[tensor] = name
		if path := filepath.Join(w.folder, name); !slices.Contains(w.files, path) {
			w.files = append(w.files, path)
		}
		if len(w.files) > maxShards {
			return wrong(fmt.Errorf("more than %d files", maxShards))
		}
	}
	slices.Sort(w.files)
	return w, nil
}

// checkShard accepts the name of a file of the same folder.
func checkShard(name, ending string) error {
	if name == "" || name != filepath.Base(name) || !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) || filepath.Ext(name) != ending {
		return errors.New("is no name of a file")
	}
	return nil
}

// check holds the tensors of several files to their index.
func (w weights) check(tensors []modelfile.Tensor) error {
	if w.index == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, t := range tensors {
		if seen[t.Name] {
			return fmt.Errorf("%s: tensor %s: is in two of the files", w.path, t.Name)
		}
		seen[t.Name] = true
	}
	for tensor, file := range w.index {
		if !seen[tensor] {
			return fmt.Errorf("%s: tensor %.80q: is not in %s", w.path, tensor, file)
		}
	}
	return nil
}

// isSafetensors tells the two kinds of file apart by their first bytes.
func isSafetensors(path string) (bool, error) {
	file, err := regular.Open(path)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, regular.Pathless(err))
	}
	defer file.Close()
	head := make([]byte, 9)
	n, _ := file.Read(head) // what cannot be read, the readers say
	return n == len(head) && head[8] == '{' && string(head[:2]) != "PK", nil
}

// list joins the first of some names for a message.
func list(names []string, show func(string) string) string {
	const most = 8
	var words []string
	for _, n := range names[:min(len(names), most)] {
		words = append(words, show(n))
	}
	if len(names) > most {
		words = append(words, fmt.Sprintf("and %d more", len(names)-most))
	}
	return strings.Join(words, ", ")
}

func quote(name string) string { return fmt.Sprintf("%.60q", name) }
