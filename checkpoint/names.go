package checkpoint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"dynvit/modelfile"
)

// pattern is a regular expression, compiled on first use: a process that only runs a model
// never needs it.
func pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// anchors are the names of the patch projection, one of which every vision transformer
// has: what stands before it is the wrappers' prefix. head is what the classifier is called
// beside it.
var anchors = []struct{ name, head string }{
	{"patch_embed.proj.weight", "head."},                          // timm, DeiT
	{"patch_embed.conv1.weight", "head."},                         // LV-ViT
	{"conv_proj.weight", "heads.head."},                           // torchvision
	{"embeddings.patch_embeddings.projection.weight", classifier}, // transformers
	{"embeddings.patch_embedding.weight", classifier},             // CLIP, SigLIP in transformers
}

// classifier is transformers' classifier, which stands beside the model and not in it.
const classifier = "classifier."

// own are prefixes that are part of transformers' names, of models that stand beside their
// classifier.
var own = pattern(`(^|\.)([a-z0-9_]*vit[a-z0-9_]*|deit|dinov2|dinov2_with_registers|vision_model|vision_tower\.vision_model|beit|data2vec_vision|ijepa)\.$`)

// inside are the names that torch's wrappers put between others: torch.compile,
// FSDP, activation checkpointing.
var inside = []string{"_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."}

// wrappers are those that may stand before all names where there is no anchor.
var wrappers = []string{"module.", "model.", "_forward_module.", "backbone.", "net.", "timm_model.", "encoder."}

// training are words in names of what a training program keeps in a state dict beside
// the model.
var training = pattern(`(?i)(^|[._])([a-z]*(criterion|loss|losses|metrics?|accuracy|auroc|f1|f1score|precision|recall|confusionmatrix)|acc|auc|confmat|confusion_matrix|n_averaged|mixup|optimizer)\d*([._]|$)`)

// adapters are the names of LoRA's and other adapters' tensors (peft).
var adapters = pattern(`(^|\.)(lora_[A-Za-z_]+|base_layer|hada_w\d|ia3_l|modules_to_save)(\.|$)`)

// bare takes wrappers' prefixes off the names, and what belongs to training and not to
// the model out of the tensors. key chooses among several models.
func (c *Checkpoint) bare(tensors []modelfile.Tensor, key string) error {
	for i, t := range tensors {
		if m := adapters().FindStringSubmatch(t.Name); m != nil {
			return fmt.Errorf("tensor %s: belongs to an adapter (%s): merge it into the model first (peft: merge_and_unload()) and save that", t.Name, m[2])
		}
		tensors[i].Name = unwrapped(t.Name)
	}
	prefix, others, err := choose(tensors, key)
	if err != nil {
		return err
	}
	if prefix != "" {
		c.Notes = append(c.Notes, "took the prefix "+prefix+" off the names")
	}
	s := sorting{c: c, prefix: prefix, others: others}
	for _, t := range tensors {
		s.sort(t)
	}
	s.adopt()
	s.report()
	return c.unique()
}

// unwrapped is a name without what torch's wrappers put inside.
func unwrapped(name string) string {
	for _, w := range inside {
		name = strings.ReplaceAll(name, w, "")
	}
	return name
}

// choose finds the prefix of the model's names, and those of other models.
func choose(tensors []modelfile.Tensor, key string) (prefix string, others []string, err error) {
	prefixes := prefixesOf(tensors)
	if key != "" {
		at := slices.IndexFunc(prefixes, func(p string) bool { return strings.HasPrefix(p, strings.TrimSuffix(key, ".")+".") })
		if len(prefixes) == 0 {
			return "", nil, fmt.Errorf("key %.80q: no vision transformer's patch projection under it, or anywhere", key)
		}
		if at < 0 {
			return "", nil, fmt.Errorf("key %.80q: no model of that name: there is %s", key, list(prefixes, shownPrefix))
		}
		return prefixes[at], slices.Delete(slices.Clone(prefixes), at, at+1), nil
	}
	if len(prefixes) > 1 {
		return "", nil, fmt.Errorf("%d models, under %s: say which (--key)", len(prefixes), list(prefixes, shownPrefix))
	}
	if len(prefixes) == 0 {
		return common(tensors), nil, nil
	}
	return prefixes[0], nil, nil
}

func shownPrefix(p string) string {
	if p == "" {
		return "(no prefix)"
	}
	return strings.TrimSuffix(p, ".")
}

// prefixesOf are what stands before the anchors, in the order of the names.
func prefixesOf(tensors []modelfile.Tensor) []string {
	var found []string
	for _, t := range tensors {
		for _, a := range anchors {
			prefix, is := strings.CutSuffix(t.Name, a.name)
			if !is || prefix != "" && !strings.HasSuffix(prefix, ".") {
				continue
			}
			if at := own().FindStringSubmatchIndex(prefix); at != nil && a.head == classifier {
				prefix = prefix[:at[4]]
			}
			if !slices.Contains(found, prefix) {
				found = append(found, prefix)
			}
		}
	}
	return found
}

// common is the wrappers' prefix that all names have, of a model without an anchor.
func common(tensors []modelfile.Tensor) string {
	prefix := ""
	for len(tensors) > 0 {
		at := slices.IndexFunc(wrappers, func(w string) bool {
			return !slices.ContainsFunc(tensors, func(t modelfile.Tensor) bool { return !strings.HasPrefix(t.Name, prefix+w) })
		})
		if at < 0 {
			break
		}
		prefix += wrappers[at]
	}
	return prefix
}

// sorting parts a file's tensors into the model's and others.
type sorting struct {
	c       *Checkpoint
	prefix  string
	others  []string           // prefixes of other models
	outside []modelfile.Tensor // that nothing is known of
	passed  []string           // left out: of training
	rivals  []string           // left out: of another model
}

func (s *sorting) sort(t modelfile.Tensor) {
	name, in := strings.CutPrefix(t.Name, s.prefix)
	rival := slices.ContainsFunc(s.others, func(p string) bool {
		return strings.HasPrefix(t.Name, p) && (!in || len(p) > len(s.prefix))
	})
	switch {
	case rival:
		s.rivals = append(s.rivals, t.Name)
	case in && !(s.prefix == "" && training().MatchString(name)):
		t.Name = name
		s.c.Tensors = append(s.c.Tensors, t)
	case training().MatchString(t.Name):
		s.passed = append(s.passed, t.Name)
	default:
		s.outside = append(s.outside, t)
	}
}

// heads are names of a classifier that is kept beside a backbone.
var heads = pattern(`^(?:.*\.)?(head|classifier|fc|linear|cls_head|linear_head|classification_head)\.(weight|bias)$`)

// adopt takes a classifier from beside a backbone that has none: one linear layer.
func (s *sorting) adopt() {
	if slices.ContainsFunc(s.c.Tensors, func(t modelfile.Tensor) bool {
		return heads().MatchString(t.Name) || strings.HasPrefix(t.Name, "heads.")
	}) {
		return
	}
	var rest, taken []modelfile.Tensor
	layer := ""
	for _, t := range s.outside {
		m := heads().FindStringSubmatch(t.Name)
		if m == nil || layer != "" && layer != strings.TrimSuffix(t.Name, m[2]) {
			rest = append(rest, t)
			continue
		}
		layer = strings.TrimSuffix(t.Name, m[2])
		t.Name = s.head() + m[2]
		taken = append(taken, t)
	}
	if len(taken) != 2 {
		return
	}
	s.outside = rest
	s.c.Tensors = append(s.c.Tensors, taken...)
	s.c.Warnings = append(s.c.Warnings, fmt.Sprintf("%s* is taken for the head, though it stands beside %s*: it is assumed to read what the model's own head would", layer, s.prefix))
}

// head is the classifier's name in the model's own dialect.
func (s *sorting) head() string {
	for _, a := range anchors {
		if slices.ContainsFunc(s.c.Tensors, func(t modelfile.Tensor) bool { return strings.HasSuffix(t.Name, a.name) }) {
			return a.head
		}
	}
	return anchors[0].head
}

// report says what was left out.
func (s *sorting) report() {
	var outside []string
	for _, t := range s.outside {
		outside = append(outside, t.Name)
	}
	if len(s.passed) > 0 {
		s.c.Notes = append(s.c.Notes, "passed over "+counted(s.passed, "of training"))
	}
	if len(s.rivals) > 0 {
		s.c.Notes = append(s.c.Notes, "passed over "+counted(s.rivals, "of another model"))
	}
	if len(outside) > 0 {
		s.c.Warnings = append(s.c.Warnings, "passed over "+counted(outside, "outside of "+s.prefix+"*"))
	}
}

// counted is how many tensors there are of a kind, and the first names.
func counted(names []string, of string) string {
	noun := "tensors"
	if len(names) == 1 {
		noun = "tensor"
	}
	return fmt.Sprintf("%d %s %s: %s", len(names), noun, of, list(names, func(n string) string { return n }))
}

// unique refuses names that are the same without what was taken off.
func (c *Checkpoint) unique() error {
	seen := map[string]bool{}
	for _, t := range c.Tensors {
		if t.Name == "" || seen[t.Name] {
			return fmt.Errorf("tensor %s: comes twice, with and without a wrapper's prefix", quote(t.Name))
		}
		seen[t.Name] = true
	}
	return nil
}
