package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"dynvit/regular"
)

// maxSidecar bounds a JSON file beside the weights, in bytes: one of 21,000 labels takes
// 2 MB.
const maxSidecar = 8 << 20

// sidecars reads the JSON files beside the weights.
func (c *Checkpoint) sidecars(folder string) error {
	config, path, err := c.sidecar(folder, "config.json")
	if err != nil {
		return err
	}
	if config != nil {
		if err := c.config(config); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, name := range []string{"preprocessor_config.json", "processor_config.json"} {
		p, path, err := c.sidecar(folder, name)
		if err != nil {
			return err
		}
		if inner, is := p["image_processor"].(map[string]any); is {
			p = inner
		}
		if p == nil || !isProcessor(p) {
			continue
		}
		meta, err := processor(p)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		c.compare(config, name, meta["image_size"])
		c.Facts = append(c.Facts, Facts{From: name, Meta: meta})
		break
	}
	return nil
}

// compare warns where pictures are made of another size than the model's, which of
// transformers' models only DINOv2 takes: its positions are brought to the pictures' grid.
func (c *Checkpoint) compare(config object, name, size string) {
	r := reader{o: config}
	if model := r.side("image_size"); model > 0 && fmt.Sprint(model) != size && !strings.HasPrefix(r.text("model_type"), "dinov2") {
		c.Warnings = append(c.Warnings, fmt.Sprintf("config.json's model takes pictures of %d pixels, %s makes some of %s: taken at the latter, which transformers refuses", model, name, size))
	}
}

// sidecar reads one, nil where there is none.
func (c *Checkpoint) sidecar(folder, name string) (object, string, error) {
	path := filepath.Join(folder, name)
	data, err := regular.Read(path, maxSidecar)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, path, nil
	}
	var o object
	if err == nil {
		o, err = parse(data)
	}
	if err != nil {
		return nil, path, fmt.Errorf("%s: %w", path, regular.Pathless(err))
	}
	return o, path, nil
}

// config reads a config.json: timm's, which names an architecture, or transformers', which
// names the type of the model. Labels that a model file cannot hold are no reason to refuse
// the model.
func (c *Checkpoint) config(o object) error {
	read := huggingFace
	switch {
	case o["architecture"] != nil:
		read = timmConfig
	case o["model_type"] == nil:
		c.Notes = append(c.Notes, "config.json is neither timm's nor transformers': not read")
		return nil
	}
	facts, doubt, err := read(o)
	if err != nil {
		return err
	}
	if doubt != nil {
		c.Warnings = append(c.Warnings, fmt.Sprintf("config.json's labels are left out, %v: --labels names a file with others", doubt))
	}
	c.Facts = append(c.Facts, facts...)
	return nil
}

// meta collects metadata; empty values are none.
type meta map[string]string

func (m meta) set(key, value string) {
	if value != "" {
		m[key] = value
	}
}

func (m meta) setWhole(key string, n int) {
	if n > 0 {
		m[key] = fmt.Sprint(n)
	}
}
