package config

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"

	"dynvit/preprocess"
	"dynvit/vit"
)

// Schema is the configuration's JSON schema (draft 2020-12), with the variable
// and the default of each key and whether a change of it needs a restart, as editors
// and `config schema` show it.
func Schema() []byte {
	c := Default("")
	root := groupSchema("", false, reflect.ValueOf(&c).Elem())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = "urn:dynvit:config:" + strconv.Itoa(Version)
	root["title"] = "dynvitd configuration"
	root["required"] = []string{"mqtt"}
	root["properties"].(map[string]any)["mqtt"].(map[string]any)["required"] = []string{"broker"}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("config: " + err.Error()) // plain maps, strings and numbers always encode
	}
	return append(out, '\n')
}

func groupSchema(key string, reload bool, v reflect.Value) map[string]any {
	properties := map[string]any{}
	for _, f := range fields(v) {
		properties[f.name] = f.schema(joinKey(key, f.name), reload || f.reloads(false))
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

func (f field) schema(key string, reload bool) map[string]any {
	var s map[string]any
	switch {
	case f.isGroup():
		return groupSchema(key, reload, f.value)
	case f.name == "cameras":
		s = camerasSchema()
	default:
		s = valueSchema(f.value.Interface())
		s["default"] = defaultValue(f.value.Interface())
		s["x-variable"] = EnvName(key)
		if !reload {
			s["x-restart"] = true
		}
		if allowed := f.tag.Get("oneof"); allowed != "" {
			s["enum"] = strings.Fields(allowed)
		}
		addRange(s, f.tag)
	}
	s["description"] = f.tag.Get("doc")
	return s
}

func camerasSchema() map[string]any {
	cam := DefaultCamera()
	one := groupSchema("cameras.<name>", true, reflect.ValueOf(&cam).Elem())
	one["required"] = []string{"source"}
	return map[string]any{
		"type":                 "object",
		"propertyNames":        map[string]any{"pattern": cameraName.String()},
		"additionalProperties": one,
	}
}

func valueSchema(v any) map[string]any {
	switch v.(type) {
	case bool:
		return map[string]any{"type": "boolean"}
	case int:
		return map[string]any{"type": "integer"}
	case float64:
		return map[string]any{"type": "number"}
	case time.Duration:
		return map[string]any{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`}
	case []string:
		return map[string]any{"type": "array", "items": map[string]any{"type": []string{"string", "number"}}}
	case Models:
		return modelsSchema()
	case preprocess.Region:
		return map[string]any{
			"type": "array", "minItems": 4, "maxItems": 4,
			"items": map[string]any{"type": "number", "minimum": 0, "maximum": 1},
		}
	case vit.Keep:
		return map[string]any{"type": []string{"string", "number", "array"}, "items": map[string]any{"type": "integer", "minimum": 1}}
	}
	return map[string]any{"type": "string"}
}

func defaultValue(v any) any {
	switch v := v.(type) {
	case time.Duration:
		return v.String()
	case vit.Keep:
		return v.String()
	case preprocess.Region:
		return []float64{v.X0, v.Y0, v.X1, v.Y1}
	case []string:
		return append([]string{}, v...)
	case Models:
		return []string{}
	}
	return v
}

// addRange adds the bounds of numbers; JSON schema has none for durations, whose
// range goes into the check alone.
func addRange(s map[string]any, tag reflect.StructTag) {
	for word, name := range map[string]string{tag.Get("min"): "minimum", tag.Get("max"): "maximum"} {
		if n, err := strconv.ParseFloat(word, 64); err == nil {
			s[name] = n
		}
	}
}
