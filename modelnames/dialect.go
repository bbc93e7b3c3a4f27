package modelnames

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dynvit/modelfile"
)

// dialect is how names become timm's. A name is looked up whole, then without its last
// part (weight, bias), which stays; in a block without the block's number.
type dialect struct {
	Dialect
	sign    string   // a name, or what one ends with, that tells the dialect
	inside  []string // prefixes of the model proper, beside which the head lies
	blocks  []string // what may be ahead of a block's number
	layers  map[string]string
	outer   map[string]string
	dropped []string                                                  // prefixes of what no answer depends on
	finish  func(d *dialect, t []modelfile.Tensor) []modelfile.Tensor // after renaming; nil: nothing
}

// recognise finds the dialect; what is none of the others is timm's.
func recognise(in []modelfile.Tensor) dialect {
	for _, d := range dialects() {
		if slices.ContainsFunc(in, func(t modelfile.Tensor) bool { return t.Name == d.sign || strings.HasSuffix(t.Name, "."+d.sign) }) {
			return d
		}
	}
	return timm()
}

// translate renames, and brings vectors to timm's shapes.
func (d *dialect) translate(in []modelfile.Tensor) ([]modelfile.Tensor, error) {
	var out []modelfile.Tensor
	seen := map[string]string{}
	for _, t := range in {
		name, keep := d.rename(t.Name)
		if !keep {
			continue
		}
		if first, twice := seen[name]; twice {
			return nil, fmt.Errorf("tensor %s: means the same as %s", t.Name, first)
		}
		seen[name] = t.Name
		t.Name = name
		out = append(out, reshaped(t))
	}
	if d.finish != nil {
		out = d.finish(d, out)
	}
	return out, nil
}

// rename is timm's name for a tensor, and whether it is wanted at all.
func (d *dialect) rename(name string) (string, bool) {
	short := name
	for _, prefix := range d.inside {
		if rest, is := strings.CutPrefix(short, prefix); is {
			short = rest
			break
		}
	}
	if slices.ContainsFunc(d.dropped, func(p string) bool { return strings.HasPrefix(short, p) || strings.HasPrefix(name, p) }) {
		return "", false
	}
	for _, prefix := range d.blocks {
		rest, is := strings.CutPrefix(short, prefix)
		number, layer, _ := strings.Cut(rest, ".")
		if _, err := strconv.Atoi(number); !is || err != nil {
			continue
		}
		if to, known := lookUp(d.layers, layer); known {
			return "blocks." + number + "." + to, true
		}
	}
	if to, known := lookUp(d.outer, short); known {
		return to, true
	}
	return name, true
}

// lookUp translates a layer, with or without weight or bias behind it.
func lookUp(table map[string]string, name string) (string, bool) {
	if to, ok := table[name]; ok {
		return to, true
	}
	layer, kind := cutLast(name)
	if to, ok := table[layer]; ok && (kind == "weight" || kind == "bias") {
		return to + "." + kind, true
	}
	return "", false
}

// cutLast parts a name at its last dot.
func cutLast(name string) (layer, kind string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return name, ""
}

// reshaped gives tokens and positions timm's three dimensions.
func reshaped(t modelfile.Tensor) modelfile.Tensor {
	switch t.Name {
	case "cls_token", "dist_token", "reg_token", "pos_embed":
		for len(t.Shape) < 3 {
			t.Shape = append([]int{1}, t.Shape...)
		}
	}
	return t
}

// join makes attn.qkv of attn.q, attn.k and attn.v.
func join(in []modelfile.Tensor) (out []modelfile.Tensor, err error) {
	parts := map[string]modelfile.Tensor{}
	for _, t := range in {
		if layer, _ := cutLast(t.Name); isPart(layer) {
			parts[t.Name] = t
		} else {
			out = append(out, t)
		}
	}
	for _, t := range in {
		layer, kind := cutLast(t.Name)
		if !isPart(layer) || !strings.HasSuffix(layer, ".q") {
			continue
		}
		at := strings.TrimSuffix(layer, "q")
		if has(out, at+"qkv."+kind) {
			return nil, fmt.Errorf("tensor %sqkv.%s: comes in parts too", at, kind)
		}
		joined, err := stack(at+"qkv."+kind, t, parts[at+"k."+kind], parts[at+"v."+kind])
		if err != nil {
			return nil, err
		}
		out = append(out, joined)
		for _, part := range "qkv" {
			delete(parts, at+string(part)+"."+kind)
		}
	}
	for name := range parts {
		return nil, fmt.Errorf("tensor %s: there is no q to it", name)
	}
	return out, nil
}

func isPart(layer string) bool {
	return strings.HasSuffix(layer, "attn.q") || strings.HasSuffix(layer, "attn.k") || strings.HasSuffix(layer, "attn.v")
}

// stack is q, k and v one below the other.
func stack(name string, q, k, v modelfile.Tensor) (modelfile.Tensor, error) {
	for i, t := range []modelfile.Tensor{k, v} {
		switch {
		case t.Name == "":
			return q, fmt.Errorf("tensor %s: its q is there, its %s is missing", name, []string{"k", "v"}[i])
		case t.DType != q.DType || !slices.Equal(t.Shape, q.Shape) || len(q.Shape) == 0:
			return q, fmt.Errorf("tensor %s: parts %s %v and %s %v do not fit together", name, q.DType, q.Shape, t.DType, t.Shape)
		}
	}
	shape := slices.Clone(q.Shape)
	shape[0] *= 3
	return modelfile.Tensor{Name: name, DType: q.DType, Shape: shape, Data: slices.Concat(q.Data, k.Data, v.Data)}, nil
}
