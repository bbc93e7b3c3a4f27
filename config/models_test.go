package config

import (
	"reflect"
	"strings"
	"testing"

	schemes "dynvit/camera/all"
)

// TestModels: what a camera's model and models may be, and what of the camera's own
// keys holds for each.
func TestModels(t *testing.T) {
	const cam = "node: box\nmodel: house\nmqtt: {broker: embedded}\ncameras:\n  door:\n    source: 'test:'\n    labels: [cat]\n    stable: 4\n"
	plain := func(names ...string) (list []string) { return names }
	for _, c := range []struct {
		name, keys string
		want       []string
	}{
		{"none", "", plain("house: [cat] 0.3 4")},
		{"an empty list", "    models: []\n", plain("house: [cat] 0.3 4")},
		{"one", "    model: garage\n", plain("garage: [cat] 0.3 4")},
		{"a path", "    model: /srv/garage.safetensors\n", plain("/srv/garage.safetensors: [cat] 0.3 4")},
		{"several", "    models: [weather, door]\n", plain("weather: [cat] 0.3 4", "door: [cat] 0.3 4")},
		{"settings", "    models:\n      weather: {labels: [rain, snow], min_score: 0}\n      door: {stable: 1}\n      plain: {}\n      none:\n", plain("weather: [rain snow] 0 4", "door: [cat] 0.3 1", "plain: [cat] 0.3 4", "none: [cat] 0.3 4")},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf := mustParse(t, cam+c.keys)
			if got := shownModels(&conf, "door"); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			again := mustParse(t, string(conf.YAML(schemes.List())))
			if got := shownModels(&again, "door"); !reflect.DeepEqual(got, c.want) {
				t.Errorf("printed and read again: %q, want %q\n%s", got, c.want, conf.YAML(schemes.List()))
			}
		})
	}
}

func shownModels(c *Config, camera string) (list []string) {
	for _, m := range c.ModelsOf(camera) {
		cam := c.Cameras[camera].For(m)
		list = append(list, m.Name+": ["+strings.Join(cam.Labels, " ")+"] "+valueText(cam.MinScore)+" "+valueText(cam.Stable))
	}
	return list
}

func TestModelsErrors(t *testing.T) {
	const cam = "node: box\nmqtt: {broker: embedded}\ncameras:\n  door:\n    source: 'test:'\n"
	for _, c := range []struct{ keys, want string }{
		{"    model: a\n    models: [b]\n", "dynvit.yaml:7:13: cameras.door.models: want either model or models"},
		{"    models: [a, b, a]\n", `dynvit.yaml:6:13: cameras.door.models: "a" twice`},
		{"    models: [a, '']\n", `dynvit.yaml:6:13: cameras.door.models: "": want the name of a model`},
		{"    models: {a: {score: 1}}\n", "dynvit.yaml:6:18: cameras.door.models.a.score: unknown key: want one of labels, min_score, stable"},
		{"    models: {a: {}, a: {}}\n", "dynvit.yaml:6:21: mapping key \"a\" already defined at [6:14]"},
		{"    models: {a: {min_score: 1.5}}\n", "dynvit.yaml:6:29: cameras.door.models.a.min_score: out of range: want 0 to 1"},
		{"    models: {a: {stable: 0}}\n", "dynvit.yaml:6:26: cameras.door.models.a.stable: out of range: want 1 to 1000"},
		{"    models: {a: {stable: [1, 2]}}\n", "dynvit.yaml:6:26: cameras.door.models.a.stable: a list of 2: want one value"},
		{"    models: {a: 3}\n", "dynvit.yaml:6:17: cameras.door.models.a: want keys: labels, min_score, stable"},
		{"    models: [[a]]\n", "dynvit.yaml:6:13: cameras.door.models: want a list of plain values"},
	} {
		_, err := parse("dynvit.yaml", []byte(cam+c.keys), "host")
		if err == nil || err.Error() != c.want {
			t.Errorf("%s%v, want %s", c.keys, err, c.want)
		}
	}
}

// TestModelsByVariable: lists of names, as everywhere.
func TestModelsByVariable(t *testing.T) {
	c, err := Load(LoadOptions{Schemes: schemes.List(), Host: "box", Sources: []string{"test:"}, Environ: []string{"DYNVIT_CAMERAS_CAM0_MODELS=weather, door"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := shownModels(&c, "cam0"); !reflect.DeepEqual(got, []string{"weather: [] 0.3 3", "door: [] 0.3 3"}) {
		t.Errorf("%q", got)
	}
}
