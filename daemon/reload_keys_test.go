package daemon

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/camera"
	schemes "dynvit/camera/all"
	"dynvit/config"
)

// TestReloadTakesUpEveryKey: what the daemon goes by is another after a reload of each
// key of which the schema does not say that it needs a restart.
func TestReloadTakesUpEveryKey(t *testing.T) {
	certFile, keyFile := certified(t)
	otherCert, otherKey, password := link(t, certFile), link(t, keyFile), filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := map[string]string{
		"cameras.door.source": "test:", "latency.keep": "0.7",
		"mqtt.broker": "mqtts://broker", "mqtt.username": "u", "mqtt.ca_file": certFile, "mqtt.cert_file": certFile, "mqtt.key_file": keyFile,
	}
	changes := map[string]string{
		"latency.budget": "30ms", "latency.percentile": "90", "latency.keep": "0.5", "log.level": "debug",
		"mqtt.broker": "mqtts://other", "mqtt.protocol": "5", "mqtt.username": "v", "mqtt.password_file": password,
		"mqtt.ca_file": otherCert, "mqtt.cert_file": otherCert, "mqtt.key_file": otherKey, "mqtt.client_id": "x",
		"mqtt.retain": "false", "mqtt.qos": "0", "mqtt.commands": "false",
		"homeassistant.enabled": "false", "homeassistant.discovery_prefix": "ha",
	}
	root := parsed(t, config.Schema())
	delete(root.Properties, "cameras")
	sameKeys(t, changes, root.taken(""))
	for key, value := range changes {
		t.Run(key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var level slog.LevelVar
				r, l := reloading(t, configured(t, base), sources{"test:": {endless()}}, func(_ *rig, d *Deps) { d.Level = &level })
				after(time.Second)
				inForce := func() string {
					return fmt.Sprintf("%+v %v %v %+v", r.tuners.shown(), level.Level(), r.commands.allowed.Load(), r.connection.options)
				}
				was := inForce()
				changed := maps.Clone(base)
				changed[key] = value
				l.reload(func(c *config.Config) { *c = configured(t, changed) })
				if now := inForce(); now == was {
					t.Errorf("reloaded, and nothing has changed\n%s", r.log)
				}
				r.halt()
			})
		})
	}
}

// TestReloadOfEveryKeyOfACamera: a camera goes by another value of each of its keys, and
// is opened anew for those of which docs/interface.md says so alone.
func TestReloadOfEveryKeyOfACamera(t *testing.T) {
	certFile, _ := certified(t)
	changes := map[string]string{
		"source": "https://other/", "ca_file": certFile, "fingerprint": strings.Repeat("ab", 32), "timeout": "20s", "region": "0, 0, 0.5, 1",
		"enabled": "false", "max_fps": "3", "stable": "1", "min_score": "0.5", "labels": "cat", "motion": "0.5", "heartbeat": "30s",
		"publish.frame": "true", "publish.snapshot": "true", "model": "house", "models": "house, yard",
	}
	anew := []string{"source", "ca_file", "fingerprint", "timeout", "region"}
	sameKeys(t, changes, parsed(t, parsed(t, config.Schema()).Properties["cameras"].Others).taken(""))
	for key, value := range changes {
		t.Run(key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := map[string]string{"mqtt.broker": "mqtt://broker", "latency.keep": "0.7", "cameras.door.source": "https://door/",
					"cameras.yard.source": "https://yard/", "cameras.yard.enabled": "false", "cameras.yard.models": "house, yard"}
				opened := 0
				r, l := reloading(t, configured(t, base), nil, func(r *rig, d *Deps) {
					d.openSource = func(string, camera.Options) (camera.Source, error) {
						opened++
						return endless(), nil
					}
					r.models = map[string]*fake{"": {}, "house": {name: "house"}, "yard": {name: "yard"}}
				})
				after(time.Second)
				base["cameras.door."+key] = value
				wanted := configured(t, base)
				l.reload(func(c *config.Config) { *c = wanted })
				if now := *r.all().named("door").config.Load(); !reflect.DeepEqual(now, wanted.Cameras["door"]) {
					t.Errorf("goes by %+v", now)
				}
				if (opened == 2) != slices.Contains(anew, key) {
					t.Errorf("opened %d times", opened)
				}
				r.halt()
			})
		})
	}
}

// object is a part of the schema.
type object struct {
	Properties map[string]object
	Others     json.RawMessage `json:"additionalProperties"` // a camera's part, or false
	Restart    bool            `json:"x-restart"`
}

func parsed(t *testing.T, schema []byte) (o object) {
	t.Helper()
	if err := json.Unmarshal(schema, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// taken are the keys that a reload takes up.
func (o object) taken(prefix string) (keys []string) {
	for name, p := range o.Properties {
		if p.Properties == nil && !p.Restart {
			keys = append(keys, prefix+name)
		}
		keys = append(keys, p.taken(prefix+name+".")...)
	}
	return keys
}

// sameKeys: a test changes all keys that there are.
func sameKeys(t *testing.T, changes map[string]string, keys []string) {
	t.Helper()
	if got, want := slices.Sorted(maps.Keys(changes)), slices.Sorted(slices.Values(keys)); !slices.Equal(got, want) {
		t.Fatalf("changed are %q, and taken up %q", got, want)
	}
}

// configured is the configuration of these keys.
func configured(t *testing.T, keys map[string]string) config.Config {
	t.Helper()
	o := config.LoadOptions{Schemes: schemes.List(), Host: "box"}
	for key, value := range keys {
		o.Settings = append(o.Settings, config.Setting{Key: key, Value: value})
	}
	c, err := config.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// link is another name of a file.
func link(t *testing.T, file string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "link")
	if err := os.Link(file, name); err != nil {
		t.Fatal(err)
	}
	return name
}
