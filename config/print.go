package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"dynvit/camera"
	"dynvit/preprocess"
	"dynvit/vit"
)

// YAML is the configuration in force, every key of it, with secrets as ***. It
// can be read again, but for those. A source of none of these schemes is secret as
// a whole.
func (c *Config) YAML(schemes camera.Schemes) []byte {
	shown := *c
	shown.Cameras = map[string]Camera{}
	for name, cam := range c.Cameras {
		cam.Source = redacted(cam.Source, schemes)
		shown.Cameras[name] = cam
	}
	return appendGroup(nil, "", reflect.ValueOf(&shown).Elem())
}

// redacted is a source's URI without its password.
func redacted(uri string, schemes camera.Schemes) string {
	spec, err := schemes.Parse(uri)
	if err != nil {
		return "***" // what does not parse cannot be told apart from its secrets
	}
	return spec.String()
}

func appendGroup(out []byte, indent string, v reflect.Value) []byte {
	for _, f := range fields(v) {
		out = append(out, indent+f.name+":"...)
		switch cameras, isCameras := f.value.Interface().(map[string]Camera); {
		case isCameras && len(cameras) == 0:
			out = append(out, " {}\n"...)
		case isCameras:
			out = appendCameras(append(out, '\n'), indent+"  ", cameras)
		case f.isGroup():
			out = appendGroup(append(out, '\n'), indent+"  ", f.value)
		default:
			out = append(out, ' ')
			out = append(out, valueText(f.value.Interface())...)
			out = append(out, '\n')
		}
	}
	return out
}

func appendCameras(out []byte, indent string, cameras map[string]Camera) []byte {
	for _, name := range sortedNames(cameras) {
		cam := cameras[name]
		out = append(out, indent+strconv.Quote(name)+":\n"...)
		out = appendGroup(out, indent+"  ", reflect.ValueOf(&cam).Elem())
	}
	return out
}

// valueText writes a value as YAML's flow style, which JSON is part of.
func valueText(v any) string {
	switch v := v.(type) {
	case string:
		return quoted(v)
	case []string:
		words := make([]string, len(v))
		for i, w := range v {
			words[i] = quoted(w)
		}
		return "[" + strings.Join(words, ", ") + "]"
	case Models:
		return v.text()
	case preprocess.Region:
		return fmt.Sprintf("[%v, %v, %v, %v]", v.X0, v.Y0, v.X1, v.Y1)
	case vit.Keep:
		if v.Counts != nil {
			return "[" + v.String() + "]"
		}
		return v.String()
	case time.Duration:
		return v.String()
	}
	return fmt.Sprint(v)
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("config: " + err.Error()) // a string always has a JSON form
	}
	return string(b)
}
