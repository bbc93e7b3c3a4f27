package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dynvit/modelfile"
	"dynvit/models"
	"dynvit/vit"
)

// model is an opened model file, or random weights.
type model struct {
	name    string
	sha256  string
	config  vit.Config
	tensors vit.Tensors
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
	if o.Predictors == "" {
		return m, nil
	}
	p, err := modelfile.Open(o.Predictors)
	if err != nil {
		m.close()
		return nil, fmt.Errorf("predictors %w", err)
	}
	base := m.files[0]
	m.files = append(m.files, p)
	if m.tensors, m.config, err = vit.AddPredictors(m.config, base, p); err != nil {
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
	c, err := vit.Read(f)
	if err == nil {
		c, err = withImageNet(c)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("model %s: %w", short, err)
	}
	return &model{name: short, sha256: f.SHA256(), config: c, tensors: f, files: []*modelfile.File{f}}, nil
}

// OpenFile finds a model by name or path: "" or the default's name is the
// embedded one, a name without slash or ending is looked up in the store.
func OpenFile(name string, store []string) (f *modelfile.File, short string, err error) {
	switch {
	case name == "":
		name = models.DefaultName
	case strings.ContainsRune(name, filepath.Separator) || strings.HasSuffix(name, ".safetensors"):
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
