package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Models are those that look at a camera, in their order. A list names them; keys
// by their names say also what is another for one of them.
type Models []Model

// Model is one of a camera's.
type Model struct {
	Name     string   // in the model store, or a path; "": the embedded one
	Labels   []string // nil: the camera's
	MinScore *float64 // nil: the camera's
	Stable   *int     // nil: the camera's
}

// modelKeys are the keys of one of a camera's models. What is not set is the camera's.
type modelKeys struct {
	Labels   []string `yaml:"labels" doc:"only these of the model make states and events; default: the camera's"`
	MinScore float64  `yaml:"min_score" min:"0" max:"1" doc:"below it the model's label is null; default: the camera's"`
	Stable   int      `yaml:"stable" min:"1" max:"1000" doc:"equal labels in a row that make a change; default: the camera's"`
}

// ModelsOf are the models that look at a camera: its own, else the node's.
func (c *Config) ModelsOf(camera string) Models {
	switch cam := c.Cameras[camera]; {
	case len(cam.Models) > 0:
		return cam.Models
	case cam.Model != "":
		return Models{{Name: cam.Model}}
	}
	return Models{{Name: c.Model}}
}

// For is the camera as it is for one of its models.
func (c Camera) For(m Model) Camera {
	if m.Labels != nil {
		c.Labels = m.Labels
	}
	if m.MinScore != nil {
		c.MinScore = *m.MinScore
	}
	if m.Stable != nil {
		c.Stable = *m.Stable
	}
	return c
}

// setModels takes a list of names.
func setModels(p *Models, names []string) error {
	*p = nil
	for _, name := range names {
		switch {
		case name == "":
			return errors.New(`"": want the name of a model`)
		case slices.ContainsFunc(*p, func(m Model) bool { return m.Name == name }):
			return fmt.Errorf("%q twice", name)
		}
		*p = append(*p, Model{Name: name})
	}
	return nil
}

// checkModels holds model and models against each other.
func (c *Camera) checkModels(key string) error {
	if c.Model != "" && len(c.Models) > 0 {
		return Invalid(key+".models", "want either model or models")
	}
	return nil
}

// models reads keys by the names of models. One without keys may be left empty.
func (y yamlReader) models(key string, entries []*ast.MappingValueNode, models *Models) error {
	var names []string
	return y.each(key, entries, func(name, key string, entry *ast.MappingValueNode) error {
		names = append(names, unveil(name))
		var all Models
		if err := setModels(&all, names); err != nil {
			return y.fail(entry.Key.GetToken(), parentKey(key), err)
		}
		m := Model{Name: unveil(name)}
		if entry.Value.Type() != ast.NullType {
			if err := y.model(key, entry.Value, &m); err != nil {
				return err
			}
		}
		*models = append(*models, m)
		return nil
	})
}

func (y yamlReader) model(key string, node ast.Node, m *Model) error {
	cam := DefaultCamera()
	keys := modelKeys{MinScore: cam.MinScore, Stable: cam.Stable}
	err := y.group(key, node, reflect.ValueOf(&keys).Elem())
	if err == nil {
		err = y.from.place(checkBounds(key, &keys))
	}
	m.Labels = keys.Labels
	if _, set := y.from[joinKey(key, "min_score")]; set {
		m.MinScore = &keys.MinScore
	}
	if _, set := y.from[joinKey(key, "stable")]; set {
		m.Stable = &keys.Stable
	}
	return err
}

// text writes models as YAML's flow style.
func (m Models) text() string {
	words, plain := make([]string, len(m)), true
	for i, one := range m {
		keys := one.text()
		plain = plain && keys == "{}"
		words[i] = quoted(one.Name) + ": " + keys
	}
	if plain {
		for i, one := range m {
			words[i] = quoted(one.Name)
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	return "{" + strings.Join(words, ", ") + "}"
}

func (m Model) text() string {
	var words []string
	if m.Labels != nil {
		words = append(words, "labels: "+valueText(m.Labels))
	}
	if m.MinScore != nil {
		words = append(words, "min_score: "+valueText(*m.MinScore))
	}
	if m.Stable != nil {
		words = append(words, "stable: "+valueText(*m.Stable))
	}
	return "{" + strings.Join(words, ", ") + "}"
}

// modelsSchema is a list of names, or keys by name.
func modelsSchema() map[string]any {
	var keys modelKeys
	properties := map[string]any{}
	for _, f := range fields(reflect.ValueOf(&keys).Elem()) {
		s := valueSchema(f.value.Interface())
		s["description"] = f.tag.Get("doc")
		addRange(s, f.tag)
		properties[f.name] = s
	}
	one := map[string]any{"type": []string{"object", "null"}, "additionalProperties": false, "properties": properties}
	return map[string]any{"oneOf": []any{
		map[string]any{"type": "array", "uniqueItems": true, "items": map[string]any{"type": []string{"string", "number"}, "minLength": 1}},
		map[string]any{"type": "object", "additionalProperties": one},
	}}
}
