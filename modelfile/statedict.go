package modelfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Taken says where in a checkpoint the tensors of a File come from.
type Taken struct {
	Key    string   // the entry, those within others joined by "."; "" is the whole
	Others []string // entries that hold tensors too, in the order in which they would have been taken
}

// NoEntryError says that a checkpoint has no entry of the name that was asked for.
type NoEntryError struct {
	Key   string
	There []string // entries that hold tensors, "" the whole
}

func (e *NoEntryError) Error() string {
	return fmt.Sprintf("no entry %.80q that holds tensors: there is %s", e.Key, quoted(e.There))
}

// stateKeys are the entries under which training programs keep state dicts, in the order
// in which they are taken. Averaged weights come first where timm's load_state_dict, which its
// train.py's checkpoints are made for, prefers them; "model" and "state_dict" before
// "model_ema", as the published DeiT and DynamicViT have them. A teacher is what DINO evaluates.
var stateKeys = []string{"state_dict_ema", "ema", "model", "state_dict", "model_state_dict", "model_ema",
	"ema_state_dict", "ema_model", "net", "network", "module", "weights", "params", "teacher", "student"}

// otherState are entries whose tensors are no model's.
var otherState = []string{"optimizer", "optim", "scheduler", "scaler", "callbacks", "loops", "rng", "criterion", "loss"}

// Bounds of the search: how deep entries may lie, and how many there may be. A
// checkpoint has a dozen.
const (
	maxNesting = 4
	maxEntries = 256
)

// search collects the dictionaries that hold tensors.
type search struct {
	found   []stateEntry
	refusal error // of the first whole object under one of stateKeys
	seen    map[*dict]bool
}

type stateEntry struct {
	path string
	d    *dict
}

func whole(where string, p *placeholder) error {
	return fmt.Errorf("%s is a whole object of class %s; save its state_dict() instead", where, p.class)
}

// findStateDict finds the named tensors in what a checkpoint holds.
func findStateDict(root any, key string) (*dict, Taken, error) {
	d, ok := root.(*dict)
	if p, is := root.(*placeholder); is {
		return nil, Taken{}, whole("the checkpoint", p)
	} else if !ok {
		return nil, Taken{}, fmt.Errorf("the checkpoint is a %s, not a dictionary of tensors", kind(root))
	}
	s := search{seen: map[*dict]bool{}}
	s.entries(d, "", stateKeys)
	s.itself(d, "")
	named := len(s.found)
	s.entries(d, "", s.others(d))
	return s.choose(d, key, named)
}

// entries looks into the entries of d that are so called.
func (s *search) entries(d *dict, path string, keys []string) {
	for _, key := range keys {
		switch inner := d.values[key].(type) {
		case *dict:
			s.visit(inner, path+key)
		case *placeholder:
			if s.refusal == nil && slices.Contains(stateKeys, key) {
				s.refusal = whole(path+key, inner)
			}
		}
	}
}

// visit takes a dictionary that holds tensors, and looks into one that holds none.
func (s *search) visit(d *dict, path string) {
	if s.itself(d, path) || strings.Count(path, ".") >= maxNesting || s.seen[d] || len(s.seen) >= maxEntries {
		return
	}
	s.seen[d] = true
	s.entries(d, path+".", stateKeys)
	s.entries(d, path+".", s.others(d))
}

func (s *search) itself(d *dict, path string) bool {
	is := has[*tensorRef](d)
	if is && len(s.found) < maxEntries {
		s.found = append(s.found, stateEntry{path, d})
	}
	return is
}

// others are the keys of d that might be a state dict of another name.
func (s *search) others(d *dict) []string {
	var keys []string
	for _, key := range d.keys {
		_, is := d.values[key].(*dict)
		known := slices.Contains(stateKeys, key) || slices.ContainsFunc(otherState, func(w string) bool { return strings.Contains(strings.ToLower(key), w) })
		if is && !known && checkName(key) == nil && len(keys) < maxEntries {
			keys = append(keys, key)
		}
	}
	return keys
}

// choose takes the entry of that key, else the first of those that have a known name, else the
// only one.
func (s *search) choose(root *dict, key string, named int) (*dict, Taken, error) {
	paths := make([]string, len(s.found))
	for i, e := range s.found {
		paths[i] = e.path
	}
	at := 0
	switch {
	case len(s.found) == 0 && s.refusal != nil:
		return nil, Taken{}, s.refusal
	case len(s.found) == 0:
		return s.nothing(root)
	case key != "":
		if at = slices.Index(paths, key); at < 0 {
			return nil, Taken{}, &NoEntryError{key, paths}
		}
	case named == 0 && len(s.found) > 1:
		return nil, Taken{}, fmt.Errorf("the checkpoint has several entries that hold tensors: say which (--key): %s", quoted(paths))
	}
	return s.found[at].d, Taken{Key: paths[at], Others: slices.Delete(slices.Clone(paths), at, at+1)}, nil
}

// nothing is where no tensor was found: an object of a class that is not known might be
// one, and reading it gives an error that names it.
func (s *search) nothing(root *dict) (*dict, Taken, error) {
	for _, key := range stateKeys {
		if d, is := root.values[key].(*dict); is {
			root = d
			break
		}
	}
	if has[*placeholder](root) {
		return root, Taken{}, nil
	}
	return nil, Taken{}, errors.New("the checkpoint holds no tensors")
}

// quoted lists names for a message.
func quoted(names []string) string {
	const most = 8
	var words []string
	for _, n := range names[:min(len(names), most)] {
		if n == "" {
			words = append(words, "the whole")
		} else {
			words = append(words, fmt.Sprintf("%.60q", n))
		}
	}
	if len(names) > most {
		words = append(words, fmt.Sprintf("%d more", len(names)-most))
	}
	return strings.Join(words, ", ")
}
