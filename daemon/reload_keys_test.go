package daemon

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	schemes "dynvit/camera/all"
	"dynvit/config"
)

// TestReloadTakesUpEveryKey: what the daemon goes by is another after a reload of each
// key of which the schema does not say that it needs a restart. A camera's keys are
// taken up as a whole (feed.adopt, cameraOptions).
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
	if got, want := slices.Sorted(maps.Keys(changes)), slices.Sorted(slices.Values(taken(t))); !slices.Equal(got, want) {
		t.Fatalf("changed are %q, and taken up %q", got, want)
	}
	for key, value := range changes {
		t.Run(key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var level slog.LevelVar
				r, l := reloading(t, configured(t, base), sources{"test:": {endless()}}, func(_ *rig, d *Deps) { d.Level = &level })
				after(time.Second)
				inForce := func() string {
					return fmt.Sprintf("%+v %v %v %+v", r.tuner.shown(), level.Level(), r.commands.allowed.Load(), r.connection.options)
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

// taken are the keys, but for cameras', that a reload takes up.
func taken(t *testing.T) (keys []string) {
	t.Helper()
	type object struct {
		Properties map[string]*object
		Restart    bool `json:"x-restart"`
	}
	var root object
	if err := json.Unmarshal(config.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	delete(root.Properties, "cameras")
	var list func(prefix string, o *object)
	list = func(prefix string, o *object) {
		for name, p := range o.Properties {
			if p.Properties == nil && !p.Restart {
				keys = append(keys, prefix+name)
			}
			list(prefix+name+".", p)
		}
	}
	list("", &root)
	return keys
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
