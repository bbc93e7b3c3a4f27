package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dynvit/head"
	"dynvit/modelfile"
	"dynvit/models"
	"dynvit/vit"
)

// model is an opened model file, or random weights.
type model struct {
	name    string
	sha256  string
	config  vit.Config // of the backbone, where there is a taught head
	tensors vit.Tensors
	base    *modelfile.File // that tensors come of
	head    *head.Head      // taught, nil where the model's own counts
	files   []*modelfile.File
}

func (m *model) close() {
	for _, f := range m.files {
		f.Close() // read only: nothing to lose
	}
}

func openModel(o Options) (*model, error) {
	if o.Arch != "" {
		c, err := vit.Named(o.Arch)
		if err != nil {
			return nil, err
		}
		return &model{name: o.Arch, config: c, tensors: vit.Random{Config: c, Seed: 1}}, nil
	}
	m, err := readModel(o.Model, o.Store)
	if err != nil {
		return nil, err
	}
	if o.Whole || m.head != nil && m.head.Whole {
		m.config.Resize, m.config.Squash = 0, false // vit: a picture is warped to the input
	}
	if o.Predictors == "" {
		return m, nil
	}
	p, err := modelfile.Open(o.Predictors)
	if err != nil {
		m.close()
		return nil, fmt.Errorf("predictors %w", err)
	}
	m.files = append(m.files, p)
	if m.tensors, m.config, err = vit.AddPredictors(m.config, m.base, p); err != nil {
		m.close()
		return nil, fmt.Errorf("predictors %s: %w", o.Predictors, err)
	}
	m.sha256 += "+" + p.SHA256()
	return m, nil
}

// readModel finds and reads a model file without packing it.
func readModel(name string, store []string) (*model, error) {
	f, short, err := OpenFile(name, store)
	if err != nil {
		return nil, err
	}
	m := &model{name: short, sha256: f.SHA256(), base: f, files: []*modelfile.File{f}}
	if head.Is(f) {
		err = m.readHead(f, store)
	}
	if err == nil {
		m.config, err = vit.Read(m.base)
	}
	if err == nil {
		m.config, err = withImageNet(m.config)
	}
	if err == nil && m.head != nil && m.head.Width != m.config.Features() {
		err = fmt.Errorf("the backbone has %d features, the head reads %d", m.config.Features(), m.head.Width)
	}
	if err != nil {
		m.close()
		return nil, fmt.Errorf("model %s: %w", short, err)
	}
	m.tensors = m.base
	return m, nil
}

// readHead reads a taught head, and finds the backbone that it was taught on: in the
// same file, or by name.
func (m *model) readHead(f *modelfile.File, store []string) error {
	h, err := head.Parse(f)
	if err != nil {
		return err
	}
	h.Name, m.head = m.name, h
	if m.base = head.Bundled(f); m.base == nil {
		if m.base, _, err = OpenFile(h.Base, store); err != nil {
			return fmt.Errorf("its backbone %s: %w", h.Base, err)
		}
		m.files = append(m.files, m.base)
	}
	switch {
	case head.Is(m.base):
		return fmt.Errorf("its backbone %s is a taught head itself", h.Base)
	case vit.BackboneSum(m.base) != h.Backbone:
		return fmt.Errorf("%s is not the model that the head was taught on: teach it again, or bring that one back", h.Base)
	}
	return nil
}

// IsPath reports whether a model is named by its file, not by a name of the store.
func IsPath(name string) bool {
	return strings.ContainsRune(name, filepath.Separator) || strings.HasSuffix(name, ".safetensors")
}

// OpenFile finds a model by name or path: "" or the default's name is the
// embedded one, a name without slash or ending is looked up in the store.
func OpenFile(name string, store []string) (f *modelfile.File, short string, err error) {
	switch {
	case name == "":
		name = models.DefaultName
	case IsPath(name):
		f, err = modelfile.Open(name)
		if err != nil {
			return nil, "", fmt.Errorf("model %w", err)
		}
		return f, strings.TrimSuffix(filepath.Base(name), ".safetensors"), nil
	}
	for _, dir := range store {
		f, err := modelfile.Open(filepath.Join(dir, name+".safetensors"))
		if err == nil {
			return f, name, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, "", fmt.Errorf("model %w", err)
		}
	}
	if name == models.DefaultName {
		f, err := modelfile.Parse(models.Default())
		return f, name, err
	}
	return nil, "", fmt.Errorf("model %s: not in the store (%s); `dynvitd model list` shows what is", name, strings.Join(store, ", "))
}

// withImageNet names the classes of a model of 1000 classes that has no labels.
func withImageNet(c vit.Config) (vit.Config, error) {
	if c.Classes != 1000 || len(c.Labels) != 0 {
		return c, nil
	}
	l, err := modelfile.ParseLabels(models.ImageNet())
	c.Labels, c.Synsets = l.Names, l.Synsets
	return c, err
}
