// Package checkpoint opens what other programs keep vision transformers in: files
// and folders of timm, transformers, torchvision, Lightning and plain PyTorch. It
// takes the container, the entry of a checkpoint and the wrappers' prefixes off the
// tensors, reads the JSON files beside them, and says what it took and what it left.
//
// [Open] gives a [Checkpoint]: tensors under the names of the program that made the
// model, and what the files beside it say, in the vocabulary of model files' metadata
// (modelfile.Manifest). It knows neither shapes nor arithmetic; package vit does.
//
// Files come from strangers: pickles are read by modelfile, which executes nothing,
// JSON is bounded in bytes and depth, and no file outside the folder is opened.
package checkpoint

import (
	"errors"
	"fmt"
	"os"

	"dynvit/modelfile"
)

// Facts are what one source says of a model: keys and values of modelfile.Manifest's
// metadata.
type Facts struct {
	From    string // for people: "config.json"
	Meta    map[string]string
	Assumed bool // nothing says so; it is what is usual
}

// Checkpoint is an open model of another program.
type Checkpoint struct {
	Path     string             // the file of the weights, or the index of its shards
	Tensors  []modelfile.Tensor // valid until Close
	Facts    []Facts            // those that go before others come later
	Notes    []string           // what was taken and passed over, a line each
	Warnings []string           // what may be wrong without anything showing it, a line each

	files []*modelfile.File
}

// Options say how a checkpoint is read.
type Options struct {
	// Key chooses among several state dicts or models; "" leaves the choice to
	// modelfile.ReadPTH, and is an error where there are several models.
	Key string
	// Alone leaves the files beside the weights unread.
	Alone bool
}

// Open opens a file of weights, a folder with one, or an index of shards. The caller
// closes the Checkpoint.
func Open(path string, o Options) (*Checkpoint, error) {
	w, err := find(path)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Path: w.path}
	if err := c.read(w, o); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Checkpoint) read(w weights, o Options) error {
	tensors, prefix, err := c.open(w, o.Key)
	if err != nil {
		return err
	}
	if err := c.bare(tensors, prefix); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	if o.Alone {
		return nil
	}
	return c.sidecars(w.folder)
}

// open reads the tensors of all of the files. prefix is the key where no entry of a
// .pth had its name.
func (c *Checkpoint) open(w weights, key string) (tensors []modelfile.Tensor, prefix string, err error) {
	own := map[string]string{}
	for _, path := range w.files {
		f, unused, err := c.openFile(path, key)
		if err != nil {
			return nil, "", err
		}
		prefix = unused
		c.files = append(c.files, f)
		for _, name := range f.Names() {
			t, _ := f.Tensor(name)
			tensors = append(tensors, t)
		}
		for k, v := range f.Meta {
			own[k] = v
		}
	}
	c.Facts = append(c.Facts, Facts{From: "metadata", Meta: own})
	return tensors, prefix, w.check(tensors)
}

// openFile opens one file by its first bytes. unused is the key where it is to be looked
// for in the names.
func (c *Checkpoint) openFile(path, key string) (f *modelfile.File, unused string, err error) {
	is, err := isSafetensors(path)
	if err != nil {
		return nil, "", err
	}
	if is {
		f, err = modelfile.Open(path)
		return f, key, err
	}
	f, err = modelfile.ReadPTH(path, key)
	var none *modelfile.NoEntryError
	if errors.As(err, &none) {
		if f, again := modelfile.ReadPTH(path, ""); again == nil {
			c.took(f.Taken, "")
			return f, key, nil
		}
	}
	if err == nil {
		c.took(f.Taken, key)
	}
	return f, "", err
}

// took notes which entry of a checkpoint was taken.
func (c *Checkpoint) took(t modelfile.Taken, key string) {
	if t.Key == "" && len(t.Others) == 0 {
		return
	}
	note := "took the tensors of entry " + entry(t.Key)
	if len(t.Others) > 0 {
		note += ", there is also " + list(t.Others, entry)
		if key == "" {
			note += " (--key takes another)"
		}
	}
	c.Notes = append(c.Notes, note)
}

func entry(key string) string {
	if key == "" {
		return "(the whole)"
	}
	return key
}

// Close frees the files; the tensors' data is invalid from then on.
func (c *Checkpoint) Close() {
	for _, f := range c.files {
		f.Close() // read only: nothing to lose
	}
	c.files, c.Tensors = nil, nil
}

// isFolder reports whether path is one; what cannot be looked at is none, and opening it
// says why.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
