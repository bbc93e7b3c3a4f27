package config

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	schemes "dynvit/camera/all"
)

// TestFormerKeys: a key of an earlier version is an error that says what it is now,
// in a file, of a camera and as a variable. Keys stand in for those to come.
func TestFormerKeys(t *testing.T) {
	before := former
	defer func() { former = before }()
	former = map[string]formerKey{
		"mqtt.user":            {1, "mqtt.username", ""},
		"cameras.<name>.fps":   {1, "cameras.<name>.max_fps", "0 is as they come"},
		"latency.adaptive":     {2, "", "the budget is always held"},
		"latency.old.deadline": {1, "latency.budget", ""},
	}
	for text, want := range map[string]string{
		minimal + "cameras:\n  door: {source: \"test:\", fps: 3}\n": "f.yaml:3:27: cameras.door.fps: was a key until version 1 of the schema: it is cameras.<name>.max_fps now, 0 is as they come",
		"mqtt: {broker: embedded, user: x}\n":                       "f.yaml:1:26: mqtt.user: was a key until version 1 of the schema: it is mqtt.username now",
		minimal + "latency: {adaptive: true}\n":                     "f.yaml:2:11: latency.adaptive: was a key until version 2 of the schema and is none any more: the budget is always held",
	} {
		if _, err := parse("f.yaml", []byte(text), "box"); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	for variable, want := range map[string]string{
		"DYNVIT_MQTT_USER":              "mqtt.user was a key until version 1 of the schema: it is mqtt.username now",
		"DYNVIT_CAMERAS_FRONT_DOOR_FPS": "cameras.<name>.fps was a key until version 1 of the schema: it is cameras.<name>.max_fps now, 0 is as they come",
	} {
		_, err := Load(LoadOptions{Schemes: schemes.List(), Environ: []string{variable + "=x"}, Host: "box"})
		if want = variable + ": " + want; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestFormerKeysAreTold: what a former key is now is a key, the key itself is none,
// and docs/upgrade.md has a row for each, and the schema's version.
func TestFormerKeysAreTold(t *testing.T) {
	c := Default("box")
	cam := DefaultCamera()
	keys := leafKeys("", reflect.ValueOf(&c).Elem())
	keys = append(keys, leafKeys("cameras.<name>", reflect.ValueOf(&cam).Elem())...)
	data, err := os.ReadFile("../docs/upgrade.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(data), "## Keys of older versions")
	for _, key := range slices.Sorted(maps.Keys(former)) {
		was := former[key]
		if slices.Contains(keys, key) || was.now != "" && !slices.Contains(keys, was.now) || was.until >= Version {
			t.Errorf("%s: %+v", key, was)
		}
		if !strings.Contains(page, "| `"+key+"` |") {
			t.Errorf("docs/upgrade.md has no row for %s", key)
		}
	}
	if !strings.Contains(page, "Version 1 ") || strings.Count(page, "\n| `") != len(former) || !strings.Contains(string(Schema()), `"$id": "urn:dynvit:config:1"`) {
		t.Error("docs/upgrade.md or the schema tells another version or other keys")
	}
}
