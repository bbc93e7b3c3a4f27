package daemon

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/config"
	"dynvit/mqtt/mqtttest"
)

const (
	nodeConfig = "homeassistant/device/dynvit_box/config"
	doorConfig = "homeassistant/device/dynvit_box/door/config"
	yardConfig = "homeassistant/device/dynvit_box/yard/config"
)

// discoveries are the broker's retained discovery topics.
func discoveries(s mqtttest.State) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.Retained)), func(topic string) bool { return !strings.HasPrefix(topic, "homeassistant/") })
}

// announcing runs a daemon at a broker until do has returned.
func announcing(t *testing.T, c config.Config, broker *mqtttest.Broker, state string, do func(*rig)) {
	t.Helper()
	s := sources{"test:": {newScripted(0, nil)}, "http://yard/": {newScripted(0, nil)}}
	r := run(t, c, s, func(r *rig, d *Deps) { r.broker, d.dial, d.State = broker, broker.Dial, state })
	after(time.Second)
	do(r)
	r.stop()
	if err := <-r.result; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func fixed(c config.Config) config.Config {
	c.Latency.Keep.Ratio = 0.7 // nothing to calibrate
	return c
}

// TestDiscovery: what is configured is announced, again when Home Assistant starts,
// and taken back, once, when it is configured no more.
func TestDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker, state := mqtttest.New(), t.TempDir()
		defer broker.Close()
		both := withCamera(fixed(testConfig()), "yard", nil)
		announcing(t, both, broker, state, func(r *rig) {
			if got, want := discoveries(broker.State()), []string{nodeConfig, doorConfig, yardConfig}; !slices.Equal(got, want) {
				t.Errorf("announced %q, want %q", got, want)
			}
			if got := broker.State().Retained[doorConfig]; !strings.Contains(got, `"event_types":["cat","dog","a \"quoted\" owl","fox","none"]`) {
				t.Errorf("door: %s", got)
			}
			if err := broker.Send("homeassistant/status", "online", false); err != nil {
				t.Fatal(err)
			}
			after(3 * time.Second)
			if got := broker.State().Topic(doorConfig); len(got) != 2 || got[0] != got[1] {
				t.Errorf("after Home Assistant's start: %d announcements", len(got))
			}
		})
		announcing(t, fixed(testConfig()), broker, state, func(*rig) {
			if got, want := discoveries(broker.State()), []string{nodeConfig, doorConfig}; !slices.Equal(got, want) {
				t.Errorf("without a camera: %q, want %q", got, want)
			}
		})
		off := fixed(testConfig())
		off.HomeAssistant.Enabled = false
		announcing(t, off, broker, state, func(*rig) {
			if got := discoveries(broker.State()); len(got) > 0 {
				t.Errorf("switched off: %q", got)
			}
		})
		announcing(t, off, broker, state, func(*rig) {})
		for _, topic := range []string{nodeConfig, doorConfig, yardConfig} {
			empty := slices.DeleteFunc(broker.State().Topic(topic), func(payload string) bool { return payload != "" })
			if len(empty) != 1 { // Home Assistant logs a line at each more
				t.Errorf("%s: taken back %d times", topic, len(empty))
			}
		}
	})
}

// TestDiscoveryWithoutABroker: what could not be taken back is by the next run.
func TestDiscoveryWithoutABroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker, state := mqtttest.New(), t.TempDir()
		defer broker.Close()
		announcing(t, withCamera(fixed(testConfig()), "yard", nil), broker, state, func(*rig) {})
		broker.Set(mqtttest.Fault{Refuse: 3})
		announcing(t, fixed(testConfig()), broker, state, func(*rig) {})
		if got := discoveries(broker.State()); !slices.Contains(got, yardConfig) {
			t.Fatalf("taken back without a connection: %q", got)
		}
		broker.Set(mqtttest.Fault{})
		announcing(t, fixed(testConfig()), broker, state, func(*rig) {
			if got := discoveries(broker.State()); slices.Contains(got, yardConfig) {
				t.Errorf("not taken back: %q", got)
			}
		})
	})
}

// TestDiscoveryDamaged: a file that is damaged, or tells of foreign topics, costs a
// line and no more.
func TestDiscoveryDamaged(t *testing.T) {
	for _, text := range []string{"{", `["#", "other/topic", "homeassistant/+/config"]`} {
		synctest.Test(t, func(t *testing.T) {
			broker, state := mqtttest.New(), t.TempDir()
			defer broker.Close()
			file := filepath.Join(state, "discovery", "box.json")
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			announcing(t, fixed(testConfig()), broker, state, func(r *rig) {
				if got := discoveries(broker.State()); !slices.Equal(got, []string{nodeConfig, doorConfig}) || broker.State().Open != 1 {
					t.Errorf("%s: announced %q", text, got)
				}
				if !strings.Contains(r.log.String(), "nnounced") {
					t.Errorf("%s: nothing in the log:\n%s", text, r.log)
				}
			})
			if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), doorConfig) {
				t.Errorf("%s: then %s, %v", text, data, err)
			}
		})
	}
}
