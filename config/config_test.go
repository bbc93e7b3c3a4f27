package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	schemes "dynvit/camera/all"
	"dynvit/mqtt"
	"dynvit/preprocess"
)

// parse reads a file's content alone; name stands for it in errors.
func parse(name string, data []byte, host string) (Config, error) {
	c, from := Default(host), origins{}
	c.from = from
	if err := (yamlReader{name, from}).read(data, &c); err != nil {
		return c, err
	}
	c.derive()
	return c, from.place(c.Validate(schemes.List()))
}

const minimal = "mqtt: {broker: embedded}\n"

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "mqtt: {broker: embedded}\nmodle: x\n", "f.yaml:2:1: modle: unknown key: want one of node, model, "},
		{"unknown nested key", "mqtt:\n  broker: embedded\n  user: x\n", "f.yaml:3:3: mqtt.user: unknown key: want one of broker, protocol, username, "},
		{"unknown camera key", minimal + "cameras:\n  door:\n    source: \"test:\"\n    fps: 5\n", "f.yaml:5:5: cameras.door.fps: unknown key: want one of source, "},
		{"duplicate key", "node: a\nnode: b\n" + minimal, "f.yaml:2:1: "},
		{"duplicate quoted key", "node: a\n\"node\": b\n" + minimal, "f.yaml:2:1: "},
		{"no broker", "node: a\n", "f.yaml: mqtt.broker: no broker named"},
		{"empty file", "", "f.yaml: mqtt.broker: no broker named"},
		{"broker left empty", "mqtt:\n  username: x\n", "f.yaml:1:1: mqtt.broker: no broker named"},
		{"credentials in the URL", "mqtt: {broker: \"mqtt://u:secret@h\"}\n", "f.yaml:1:16: mqtt.broker: "},
		{"bad enum", minimal + "backend: gpu\n", `f.yaml:2:10: backend: "gpu": want one of auto, ref, portable,`},
		{"bad duration", minimal + "latency: {budget: 50}\n", `f.yaml:2:19: latency.budget: "50": want a duration`},
		{"budget of nothing", minimal + "latency: {budget: 0s}\n", "f.yaml:2:19: latency.budget: out of range: want 1ms to 1m"},
		{"percentile", minimal + "latency: {percentile: 100}\n", "f.yaml:2:23: latency.percentile: out of range: want 1 to 99.9"},
		{"percentile of no number", minimal + "latency: {percentile: .nan}\n", "f.yaml:2:23: latency.percentile: "},
		{"keep", minimal + "latency: {keep: 1.5}\n", "f.yaml:2:17: latency.keep: "},
		{"bool", minimal + "homeassistant: {enabled: yes}\n", `f.yaml:2:26: homeassistant.enabled: "yes": want true or false`},
		{"number", minimal + "threads: many\n", `f.yaml:2:10: threads: "many": want a whole number`},
		{"camera name", minimal + "cameras:\n  a/b: {source: \"test:\"}\n", `f.yaml:3:3: cameras: camera name "a/b"`},
		{"region order", minimal + "cameras:\n  d: {source: \"test:\", region: [0.5, 0, 0.5, 1]}\n", "f.yaml:3:32: cameras.d.region: "},
		{"region length", minimal + "cameras:\n  d: {source: \"test:\", region: [0.5, 0]}\n", "f.yaml:3:32: cameras.d.region: 2 numbers: want four"},
		{"no source", minimal + "cameras:\n  d: {stable: 2}\n", "cameras.d.source: no source named"},
		{"stable", minimal + "cameras:\n  d: {source: \"test:\", stable: 0}\n", "f.yaml:3:32: cameras.d.stable: out of range: want 1 to 1000"},
		{"list for a value", minimal + "node: [a, b]\n", "f.yaml:2:7: node: a list of 2: want one value"},
		{"value for a group", "mqtt: embedded\n", "f.yaml:1:7: mqtt: want keys: broker, "},
		{"no value", minimal + "node:\n", "f.yaml:2:7: node: want a value"},
		{"anchor", "node: &n a\nmodel: *n\n", "f.yaml:1:7: &n: anchors are not taken"},
		{"anchor of a camera", minimal + "cameras:\n  a: &x {source: \"test:\"}\n  b: *x\n", "f.yaml:3:6: &x: anchors are not taken"},
		{"merge key", minimal + "cameras:\n  a: {<<: {source: \"test:\"}}\n", "f.yaml:3:7: <<: merge keys are not taken"},
		{"tag", "mqtt: {broker: embedded, username: !env user}\n", "f.yaml:1:36: !env: tags are not taken"},
		{"tag in a list", minimal + "cameras: {a: {source: \"test:\", labels: [!!str x]}}\n", "f.yaml:2:41: !!str: tags are not taken"},
		{"tag on a mapping", "mqtt: !include mqtt.yaml\n", "f.yaml:1:7: !include: tags are not taken"},
		{"variable", "mqtt:\n  broker: ${BROKER}\n", `f.yaml:2:11: mqtt.broker: "${BROKER}": variables are not replaced in the file: leave the key out and set DYNVIT_MQTT_BROKER`},
		{"variable in brackets", "mqtt: {broker: ${BROKER}}\n", `f.yaml:1:16: mqtt.broker: "${BROKER}": variables are not`},
		{"variable in quotes", "mqtt: {broker: \"mqtt://${HOST:-h}:1883\"}\n", `f.yaml:1:16: mqtt.broker: "${HOST:-h}": variables are not`},
		{"variable in a list", minimal + "cameras: {front-door: {source: \"test:\", labels: [a, ${B}]}}\n", `f.yaml:2:49: cameras.front-door.labels: "${B}": variables are not replaced in the file: leave the key out and set DYNVIT_CAMERAS_FRONT_DOOR_LABELS`},
		{"variable for a key", "${KEY}: x\n", "f.yaml:1:1: ${KEY}: unknown key: want one of node,"},
		{"UTF-16, little endian", "\xff\xfem\x00q\x00", "f.yaml: is UTF-16: save it as UTF-8"},
		{"UTF-16, big endian", "\xfe\xff\x00m\x00q", "f.yaml: is UTF-16: save it as UTF-8"},
		{"UTF-16 without a mark", "m\x00q\x00t\x00", "f.yaml: is UTF-16: save it as UTF-8"},
		{"syntax", "mqtt: {broker: embedded\n", "f.yaml:1:"},
		{"second document", minimal + "---\nnode: a\n", "f.yaml:"},
		{"node", minimal + "node: a.b\n", `f.yaml:2:7: node: "a.b": want letters`},
		{"prefix", "mqtt: {broker: embedded, topic_prefix: a/#}\n", "f.yaml:1:40: mqtt.topic_prefix: "},
		{"CA without TLS", "mqtt: {broker: \"mqtt://h\", ca_file: /ca}\n", "f.yaml:1:37: mqtt.ca_file: the broker is not spoken to over TLS: want mqtts://"},
		{"certificate at an embedded broker", "mqtt: {broker: embedded, cert_file: /c, key_file: /k}\n", "f.yaml:1:37: mqtt.cert_file: the broker is not"},
		{"certificate without key", "mqtt: {broker: \"mqtts://h\", cert_file: /c}\n", "f.yaml:1:40: mqtt.cert_file: want key_file, too"},
		{"key without certificate", "mqtt: {broker: \"mqtts://h\", key_file: /k}\n", "f.yaml:1:39: mqtt.key_file: want cert_file, too"},
		{"fingerprint without TLS", minimal + "cameras: {a: {source: 'rtsp://h/', fingerprint: 00}}\n", "f.yaml:2:49: cameras.a.fingerprint: the camera is not spoken to over TLS: want https://"},
		{"camera's CA without TLS", minimal + "cameras: {a: {source: 'test:', ca_file: /ca}}\n", "f.yaml:2:41: cameras.a.ca_file: the camera is not"},
		{"fingerprint", minimal + "cameras: {a: {source: 'https://h/', fingerprint: 0a:0b}}\n", "f.yaml:2:50: cameras.a.fingerprint: not a SHA-256 fingerprint: want 64 hexadecimal digits"},
		{"fingerprint and CA", minimal + "cameras: {a: {source: 'https://h/', ca_file: /ca, fingerprint: 0a:0b}}\n", "f.yaml:2:64: cameras.a.fingerprint: both"},
		{"outbox of nothing", "mqtt: {broker: embedded, outbox: {size_mib: 0}}\n", "f.yaml:1:45: mqtt.outbox.size_mib: out of range: want 1 to 1024"},
		{"time to live", "mqtt: {broker: embedded, outbox: {ttl: 7d}}\n", `f.yaml:1:40: mqtt.outbox.ttl: "7d": want a duration`},
		{"listen", minimal + "http: {listen: \"127.0.0.1\"}\n", "f.yaml:2:16: http.listen: "},
		{"listen to all", minimal + "http: {listen: \"0.0.0.0:8484\"}\n", "f.yaml:2:16: http.listen: \"0.0.0.0:8484\": others than this machine reach it: want token_file, or cert_file and key_file, too"},
		{"listen by name", minimal + "http: {listen: \"box.lan:8484\"}\n", "f.yaml:2:16: http.listen: \"box.lan:8484\": others than"},
		{"listen to all of IPv6", minimal + "http: {listen: \"[::]:8484\"}\n", "f.yaml:2:16: http.listen: \"[::]:8484\": others than"},
		{"profiles for others", minimal + "http: {listen: \"10.0.0.1:80\", cert_file: /c, key_file: /k, pprof: true}\n", "f.yaml:2:67: http.pprof: others than this machine reach \"10.0.0.1:80\": want token_file, too"},
		{"certificate without key", minimal + "http: {cert_file: /c}\n", "f.yaml:2:19: http.cert_file: want key_file, too"},
		{"key without certificate", minimal + "http: {key_file: /k}\n", "f.yaml:2:18: http.key_file: want cert_file, too"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse("f.yaml", []byte(c.text), "box")
			var bad *Error
			if !errors.As(err, &bad) {
				t.Fatalf("error %v, want a *Error", err)
			}
			if got := err.Error(); !strings.HasPrefix(got, c.want) && !strings.HasPrefix(got[strings.Index(got, " ")+1:], c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: more than one line, or a secret", err)
			}
		})
	}
}

func TestParseOfInterface(t *testing.T) {
	c, err := parse("f", []byte(`
node: porch-box
latency: {budget: 40ms, percentile: 90, keep: [127, 95, 63]}
mqtt: {broker: mqtts://broker.lan:8883, username: cam, topic_prefix: dynvit, commands: false, ca_file: /ca, cert_file: /c, key_file: /k, outbox: {size_mib: 64, ttl: 24h}}
cameras:
  door: {source: "test:", max_fps: 5, region: [0.1, 0.0, 0.9, 1.0], stable: 2, min_score: 0.4, labels: [cat, dog], motion: 0.02, timeout: 5s, publish: {frame: false, snapshot: true}}
  yard:
    source: "test:"
    labels:
      - golf ball
http: {listen: 127.0.0.1:8484}
`), "box.lan")
	if err != nil {
		t.Fatal(err)
	}
	door := DefaultCamera()
	door.Source, door.MaxFPS, door.Region = "test:", 5, preprocess.Region{X0: .1, X1: .9, Y1: 1}
	door.Stable, door.MinScore, door.Labels, door.Motion = 2, .4, []string{"cat", "dog"}, .02
	door.Timeout, door.Publish = 5*time.Second, Publish{Snapshot: true}
	if got := c.Cameras["door"]; !reflect.DeepEqual(got, door) {
		t.Errorf("door\n got %+v\nwant %+v", got, door)
	}
	yard := DefaultCamera()
	yard.Source, yard.Labels = "test:", []string{"golf ball"}
	if got := c.Cameras["yard"]; !reflect.DeepEqual(got, yard) {
		t.Errorf("yard\n got %+v\nwant %+v", got, yard)
	}
	if c.Latency.Budget != 40*time.Millisecond || c.Latency.Keep.String() != "127,95,63" || c.MQTT.Commands {
		t.Errorf("got %+v, %+v", c.Latency, c.MQTT)
	}
	if want := (Outbox{64, 24 * time.Hour}); c.MQTT.Outbox != want || c.MQTT.TLS() != (mqtt.TLS{CA: "/ca", Certificate: "/c", Key: "/k"}) {
		t.Errorf("got %+v", c.MQTT)
	}
	if c.MQTT.ClientID != "dynvit-porch-box" {
		t.Errorf("client id %q", c.MQTT.ClientID)
	}
}

func TestLoadPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := minimal + "precision: f32\nbackend: ref\nthreads: 3\ncameras:\n  front-door: {source: \"test:\", stable: 5}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(LoadOptions{
		Schemes: schemes.List(),
		File:    file, Host: "box.lan",
		Environ: []string{
			"DYNVIT_BACKEND=portable", "DYNVIT_THREADS=2", "DYNVIT_CAMERAS_FRONT_DOOR_PUBLISH_FRAME=true",
			"DYNVIT_CAMERAS_FRONT_DOOR_REGION=0, 0, 0.5, 1", "DYNVIT_CAMERAS_NEW_CAM_SOURCE=test:", "DYNVIT_CAMERAS_NEW_CAM_LABELS=a,b",
			"DYNVIT_MODELS=/x", "DYNVIT_REQUIRE=1", "HOME=/",
		},
		Settings: []Setting{{Key: "threads", Value: "1", Flag: "--threads"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	door, added := c.Cameras["front-door"], c.Cameras["new_cam"]
	if c.Node != "box-lan" || c.Precision != "f32" || c.Backend != "portable" || c.Threads != 1 {
		t.Errorf("default, file, environment, flag: %q %q %q %d", c.Node, c.Precision, c.Backend, c.Threads)
	}
	if door.Stable != 5 || !door.Publish.Frame || door.Region.X1 != 0.5 || added.Source != "test:" || len(added.Labels) != 2 || added.Stable != 3 {
		t.Errorf("door %+v\nadded %+v", door, added)
	}
}

func TestLoadNamesTheOrigin(t *testing.T) {
	for _, c := range []struct {
		name, want string
		flag       bool
		o          LoadOptions
	}{
		{"variable of no key", "DYNVIT_MQTT_BROKR: no key has this variable", false, LoadOptions{Environ: []string{"DYNVIT_MQTT_BROKR=x"}}},
		{"variable of no camera key", "DYNVIT_CAMERAS_DOOR_FPS: no key of a camera", false, LoadOptions{Environ: []string{"DYNVIT_CAMERAS_DOOR_FPS=x"}}},
		{"unreadable value", `DYNVIT_LATENCY_BUDGET: latency.budget: "soon": want a duration`, false, LoadOptions{Environ: []string{"DYNVIT_LATENCY_BUDGET=soon"}}},
		{"value out of range", "DYNVIT_CAMERAS_A_MAX_FPS: cameras.a.max_fps: out of range", false, LoadOptions{Environ: []string{"DYNVIT_CAMERAS_A_SOURCE=test:", "DYNVIT_CAMERAS_A_MAX_FPS=-1"}}},
		{"flag", "--backend: backend: ", true, LoadOptions{Settings: []Setting{{"backend", "gpu", "--backend"}}}},
		{"source", "--source: cameras.cam1.source: ", true, LoadOptions{Schemes: schemes.List(), Sources: []string{"test:", "nonsense://x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Host = "box"
			_, err := Load(c.o)
			var bad *Error
			if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), c.want) || bad.Flag != c.flag {
				t.Errorf("got %v (%+v)\nwant %s, flag %v", err, bad, c.want, c.flag)
			}
		})
	}
}

// TestPlace gives a place to what only the model can find wrong.
func TestPlace(t *testing.T) {
	c, err := Load(LoadOptions{
		Schemes: schemes.List(),
		Host:    "box", Sources: []string{"test:"}, Environ: []string{"DYNVIT_CAMERAS_CAM0_LABELS=unicorn"},
		Settings: []Setting{{"latency.keep", "9,9", "--keep"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []struct {
		err  error
		want string
		flag bool
	}{
		{Invalid("latency.keep", "bad"), "--keep: latency.keep: bad", true},
		{Invalid("cameras.cam0.labels", "bad"), "DYNVIT_CAMERAS_CAM0_LABELS: cameras.cam0.labels: bad", false},
		{Invalid("latency.budget", "bad"), "latency.budget: bad", false},
	} {
		var bad *Error
		if err := c.Place(e.err); !errors.As(err, &bad) || err.Error() != e.want || bad.Flag != e.flag {
			t.Errorf("got %v, want %s", err, e.want)
		}
	}
	plain := errors.New("plain")
	if got := c.Place(errors.Join(plain)); !errors.Is(got, plain) {
		t.Errorf("got %v", got)
	}
	if got := c.Place(nil); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestLoadOfUnreadableFiles(t *testing.T) {
	_, err := Load(LoadOptions{File: "/does/not/exist.yaml", Host: "box"})
	var bad *Error
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &bad) || err.Error() != "configuration /does/not/exist.yaml: no such file or directory" {
		t.Errorf("missing file: %v", err)
	}
	large, pipe := filepath.Join(t.TempDir(), "large.yaml"), filepath.Join(t.TempDir(), "pipe.yaml")
	if err := errors.Join(os.WriteFile(large, nil, 0o600), os.Truncate(large, 1<<40), unix.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(LoadOptions{File: large, Host: "box"}); !errors.As(err, &bad) || !strings.Contains(err.Error(), "more than 128 KiB") {
		t.Errorf("a terabyte: %v", err)
	}
	for _, path := range []string{"/dev/zero", pipe} {
		if _, err := Load(LoadOptions{File: path, Host: "box"}); err == nil || err.Error() != "configuration "+path+": not a regular file" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Load(LoadOptions{File: t.TempDir(), Host: "box"}); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("folder: %v", err)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	c, err := Load(LoadOptions{
		Schemes: schemes.List(),
		Host:    "box", Sources: []string{"test:", "test:?seed=2"},
		Environ: []string{"DYNVIT_CAMERAS_OLD_SOURCE=test:", "DYNVIT_CAMERAS_CAM1_STABLE=7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Cameras["cam0"].Stable != 3 || c.Cameras["cam1"].Stable != 7 {
		t.Errorf("cameras %+v", c.Cameras)
	}
	if got := strings.Join(c.CameraNames(), " "); got != "cam0 cam1" || c.MQTT.Broker != Embedded {
		t.Errorf("cameras %s, broker %s", got, c.MQTT.Broker)
	}
}

func TestAmbiguousCameraVariable(t *testing.T) {
	c := Default("box")
	c.Cameras["a-b"], c.Cameras["a_b"] = DefaultCamera(), DefaultCamera()
	if _, err := keyOf("DYNVIT_CAMERAS_A_B_SOURCE", &c); err == nil || !strings.Contains(err.Error(), "a-b or a_b") {
		t.Errorf("got %v", err)
	}
}

// TestEveryKeyHasItsVariable sets each key by its variable and finds it again.
func TestEveryKeyHasItsVariable(t *testing.T) {
	c := Default("box")
	c.Cameras["door"] = DefaultCamera()
	seen := map[string]bool{}
	for _, key := range leafKeys("", reflect.ValueOf(&c).Elem()) {
		if got, err := keyOf(EnvName(key), &c); err != nil || got != key || seen[EnvName(key)] {
			t.Errorf("%s: %s means %q, %v", key, EnvName(key), got, err)
		}
		seen[EnvName(key)] = true
	}
	cam := DefaultCamera()
	for _, leaf := range leafKeys("", reflect.ValueOf(&cam).Elem()) {
		key := "cameras.door." + leaf
		if got, err := keyOf(EnvName(key), &c); err != nil || got != key {
			t.Errorf("%s: %s means %q, %v", key, EnvName(key), got, err)
		}
	}
}

func TestYAMLReadsBack(t *testing.T) {
	c := Default("box")
	c.MQTT.Broker, c.Latency.Keep.Ratio = "mqtt://h:1883", 0.7
	cam := DefaultCamera()
	cam.Source, cam.Labels, cam.MaxFPS = "test:", []string{"a: b", `"`}, 2.5
	c.Cameras["0"] = cam
	c.derive()
	back, err := parse("printed", c.YAML(schemes.List()), "other")
	if err != nil {
		t.Fatalf("%v in\n%s", err, c.YAML(schemes.List()))
	}
	back.from = nil
	if !reflect.DeepEqual(back, c) {
		t.Errorf("got  %+v\nwant %+v", back, c)
	}
}

func TestYAMLHidesSecrets(t *testing.T) {
	c := Default("box")
	cam := DefaultCamera()
	cam.Source = "http://user:hunter2@cam.lan/stream"
	c.Cameras["door"] = cam
	if out := string(c.YAML(schemes.List())); strings.Contains(out, "hunter2") || !strings.Contains(out, "cam.lan") {
		t.Errorf("printed\n%s", out)
	}
}

func TestSchemaCoversEveryKey(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	c := Default("")
	for _, key := range leafKeys("", reflect.ValueOf(&c).Elem()) {
		node := schema
		for word := range strings.SplitSeq(key, ".") {
			node, _ = node["properties"].(map[string]any)[word].(map[string]any)
		}
		if node["description"] == "" || node["x-variable"] != EnvName(key) || node["type"] == nil {
			t.Errorf("%s: %v", key, node)
		}
	}
}

// TestFilesOfWindows: a byte-order mark before UTF-8, and carriage returns, are no
// part of what is said.
func TestFilesOfWindows(t *testing.T) {
	plain := "# a box\nnode: porch\n" + minimal + "cameras:\n  door: {source: \"test:\"}\n"
	want, err := parse("f.yaml", []byte(plain), "box")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"\ufeff" + plain, strings.ReplaceAll(plain, "\n", "\r\n"), "\ufeff" + strings.ReplaceAll(plain, "\n", "\r\n")} {
		got, err := parse("f.yaml", []byte(text), "box")
		want.from, got.from = nil, nil
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %+v", text[:8], err, got)
		}
	}
	if _, err := parse("f.yaml", []byte("\ufeff"+"nodes: x\n"), "box"); err == nil || !strings.HasPrefix(err.Error(), "f.yaml:1:1: nodes: unknown key") {
		t.Errorf("an error behind a mark: %v", err)
	}
}

// TestNodeOfHost: what a topic does not carry becomes -; a host without a name
// needs --node, and a name that thousands of boxes have is warned of.
func TestNodeOfHost(t *testing.T) {
	for host, want := range map[string]string{
		"edge_1": "edge_1", "EDGE-01.Plant.LAN": "EDGE-01-Plant-LAN", "bröker": "br-ker", "cam box": "cam-box", "a/b+c#d": "a-b-c-d",
		"(none)": "none", "localhost": "localhost", "localhost.localdomain": "localhost-localdomain", "": "", "日本": "", "...": "",
	} {
		c, err := Load(LoadOptions{Schemes: schemes.List(), Host: host, Sources: []string{"test:"}})
		if c.Node != want || (err == nil) != (want != "") || err != nil && !strings.Contains(err.Error(), "set node, or --node") {
			t.Errorf("%q: %q, %v, want %q", host, c.Node, err, want)
		}
		warned := len(c.Warnings()) > 0
		if wanted := strings.HasPrefix(want, "localhost") || want == "none"; warned != wanted {
			t.Errorf("%q: warnings %q", host, c.Warnings())
		}
	}
	c, err := Load(LoadOptions{Schemes: schemes.List(), Host: "", Sources: []string{"test:"}, Environ: []string{"DYNVIT_NODE=localhost"}})
	if err != nil || len(c.Warnings()) > 0 {
		t.Errorf("a node that was given: %v, %q", err, c.Warnings())
	}
}

func TestPassword(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mqtt")
	if err := os.WriteFile(file, []byte("pass word\r\nrest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	marked, wide := filepath.Join(dir, "marked"), filepath.Join(dir, "wide")
	if err := errors.Join(os.WriteFile(marked, []byte("\ufeffpass word\r\n"), 0o600), os.WriteFile(wide, []byte("\xff\xfep\x00"), 0o600)); err != nil {
		t.Fatal(err)
	}
	env := func(dir string) func(string) string {
		return func(string) string { return dir }
	}
	for _, c := range []struct {
		name, file, credentials, want string
		fails                         bool
	}{
		{"nothing", "", "", "", false},
		{"file", file, "", "pass word", false},
		{"credential", "", dir, "pass word", false},
		{"no such credential", "", t.TempDir(), "", false},
		{"a byte-order mark", marked, "", "pass word", false},
		{"UTF-16", wide, "", "", true},
		{"missing file", file + "x", "", "", true},
	} {
		cfg := Config{MQTT: MQTT{PasswordFile: c.file}}
		got, err := cfg.Password(env(c.credentials))
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: got %q, %v", c.name, got, err)
		}
	}
}

// TestSample reads the shipped sample and holds what its comments call defaults
// to the defaults.
func TestSample(t *testing.T) {
	data, err := os.ReadFile("dynvit.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parse("dynvit.yaml", data, "box"); err != nil {
		t.Fatal(err)
	}
	var shown []string
	for line := range strings.Lines(string(data)) {
		switch commented := strings.HasPrefix(line, "#"); {
		case !commented:
			shown = append(shown, line)
		case strings.Contains(line, "(default)") && !strings.HasPrefix(line, "# "):
			shown = append(shown, line[1:])
		}
	}
	got, err := parse("defaults", []byte(strings.Join(shown, "")), "box")
	if err != nil {
		t.Fatal(err)
	}
	want := Default("box")
	cam := DefaultCamera()
	want.MQTT.Broker, cam.Source = Embedded, "test:"
	want.Cameras["door"] = cam
	want.derive()
	got.from = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("with the lines marked (default)\n got %+v\nwant %+v", got, want)
	}
	if n := strings.Count(string(data), "(default)"); n < 25 {
		t.Errorf("%d lines marked (default)", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte("cameras: {d: {source: \"test:\", region: [0, 0, 1, 1]}}"))
	f.Add([]byte("- - -\n? a\n: &x [*x]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse("f", data, "box")
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of more than one line: %q", err)
			}
			return
		}
		if _, err := parse("again", c.YAML(schemes.List()), "box"); err != nil {
			t.Errorf("%v in what was printed\n%s", err, c.YAML(schemes.List()))
		}
	})
}

func TestDeepNestingIsAnError(t *testing.T) {
	for _, unit := range []string{"[", "{", "- ", "-\t", "? ", "a: {", "a: [\n", "a:\n ["} {
		text := strings.Repeat(unit, 1000)
		_, err := parse("f", []byte(text), "box")
		if err == nil || !strings.Contains(err.Error(), "nested too deeply") {
			t.Errorf("1000 times %q: %v", unit, err)
		}
	}
	fine := "# " + strings.Repeat("[", 100) + "\n" + minimal + "node: a # " + strings.Repeat("{", 100) + "\n"
	if _, err := parse("f", []byte(fine), "box"); err != nil {
		t.Errorf("brackets in comments: %v", err)
	}
}

func TestHugeFileIsAnError(t *testing.T) {
	text := minimal + strings.Repeat("#\n", maxConfigFile/2)
	if _, err := parse("f", []byte(text), "box"); err == nil || !strings.Contains(err.Error(), "more than 128 KiB") {
		t.Errorf("got %v", err)
	}
}

// TestForeignVariables: what Kubernetes sets in every pod beside a service called
// dynvit, and variables that are empty, set nothing and stop nothing; a misspelt
// key stays an error, whatever its value looks like.
func TestForeignVariables(t *testing.T) {
	for entry, taken := range map[string]bool{
		"DYNVIT_SERVICE_HOST=10.43.0.7": true, "DYNVIT_SERVICE_HOST=fd00::7": true, "DYNVIT_SERVICE_PORT=8484": true,
		"DYNVIT_SERVICE_PORT_HTTP=8484": true, "DYNVIT_PORT=tcp://10.43.0.7:8484": true, "DYNVIT_PORT_8484_TCP=tcp://10.43.0.7:8484": true,
		"DYNVIT_PORT_8484_TCP_PROTO=tcp": true, "DYNVIT_PORT_8484_TCP_PORT=8484": true, "DYNVIT_PORT_8484_TCP_ADDR=10.43.0.7": true,
		"DYNVIT_HTTP_PORT=tcp://10.43.0.7:8484": true, "DYNVIT_MQTT_SERVICE_HOST=10.43.0.7": true, "DYNVIT_CAMERAS_PORT_53_UDP=udp://10.43.0.7:53": true,
		"DYNVIT_AMX=1": true, "DYNVIT_LATENCY_BUDGET=": true, "DYNVIT_THREADS=": true, "DYNVIT_CAMERAS_DOOR_LABELS=": true, "DYNVIT_CAMERAS_DOOR_SOURCE=": true, "DYNVIT_NODE=": true,
		"DYNVIT_LATENCY_BUGDET=5ms": false, "DYNVIT_PORT=8484": false, "DYNVIT_HTTP_PORT=8484": false, "DYNVIT_SERVICE_HOST=my host": false,
		"DYNVIT_PORT_TCP=tcp://10.43.0.7": false, "DYNVIT_CAMERAS_DOOR_PORT=tcp": false,
	} {
		c, err := Load(LoadOptions{Schemes: schemes.List(), Host: "box", Sources: []string{"test:"}, Environ: []string{entry}})
		if (err == nil) != taken {
			t.Errorf("%s: %v", entry, err)
		}
		if names := c.CameraNames(); taken && (len(names) != 1 || c.Node != "box" || c.HTTP.Listen != "") {
			t.Errorf("%s: cameras %v, node %s, http %s", entry, names, c.Node, c.HTTP.Listen)
		}
	}
}

// TestHTTPNames: a name to listen on is one to be asked by.
func TestHTTPNames(t *testing.T) {
	for _, c := range []struct {
		http HTTP
		want string
	}{
		{HTTP{Listen: "edge.lan:8484", Hosts: []string{"box"}}, "box edge.lan"},
		{HTTP{Listen: "8484"}, ""},
		{HTTP{Listen: ":8484", Hosts: []string{"a", "b.c"}}, "a b.c"},
	} {
		if got := strings.Join(c.http.Names(), " "); got != c.want {
			t.Errorf("%+v: %q, want %q", c.http, got, c.want)
		}
	}
	for _, name := range []string{"", "box:80", "http://box", "a b"} {
		c := Default("box")
		c.MQTT.Broker, c.HTTP.Hosts = Embedded, []string{name}
		if err := c.Validate(schemes.List()); err == nil || !strings.Contains(err.Error(), "http.hosts: ") {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

// TestEmptyLines: a block of text with many empty lines, which takes the parser time
// by the square of them, is refused before it sees them, whatever ends a line.
// TestHTTPReach: what this machine alone reaches needs nothing, what others reach a
// token or TLS.
func TestHTTPReach(t *testing.T) {
	for _, c := range []struct {
		http HTTP
		good bool
	}{
		{HTTP{Listen: "8484", Pprof: true}, true}, {HTTP{Listen: ":8484"}, true}, {HTTP{Listen: "localhost:8484"}, true},
		{HTTP{Listen: "127.9.9.9:1"}, true}, {HTTP{Listen: "[::1]:1"}, true}, {HTTP{Listen: "[::ffff:127.0.0.1]:1"}, true},
		{HTTP{Listen: "10.0.0.1:1"}, false}, {HTTP{Listen: "[fe80::1%eth0]:1"}, false}, {HTTP{Listen: "0:1"}, false}, {HTTP{Listen: "127.1:1"}, false},
		{HTTP{Listen: "localhost.evil.example:1"}, false}, {HTTP{Listen: "10.0.0.1:1", TokenFile: "/t", Pprof: true}, true},
		{HTTP{Listen: "10.0.0.1:1", CertFile: "/c", KeyFile: "/k"}, true}, {HTTP{Listen: "10.0.0.1:1", CertFile: "/c", KeyFile: "/k", Pprof: true}, false},
	} {
		cfg := Default("box")
		cfg.MQTT.Broker, cfg.HTTP = Embedded, c.http
		if err := cfg.Validate(schemes.List()); (err == nil) != c.good {
			t.Errorf("%+v: %v", c.http, err)
		}
	}
}

func TestToken(t *testing.T) {
	dir := t.TempDir()
	none := func(string) string { return "" }
	for text, want := range map[string]string{
		"0123456789abcdef\n": "0123456789abcdef", " 0123456789abcdef \r\nrest": "0123456789abcdef",
		"": "", "0123456789abcde\n": "", "0123456789 abcdef": "", "0123456789abcdé0": "", "\n0123456789abcdef": "",
	} {
		file := filepath.Join(dir, "token")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := HTTP{TokenFile: file}.Token(none)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
		if err != nil && len(text) > 1 && strings.Contains(err.Error(), strings.TrimSpace(text)) {
			t.Errorf("the error repeats the token: %v", err)
		}
	}
	if _, err := (HTTP{TokenFile: filepath.Join(dir, "none")}).Token(none); err == nil || !strings.Contains(err.Error(), "http.token_file: read ") {
		t.Errorf("of no file: %v", err)
	}
	if got, err := (HTTP{}).Token(none); got != "" || err != nil {
		t.Errorf("of none: %q, %v", got, err)
	}
	credentials := func(string) string { return dir }
	if got, err := (HTTP{}).Token(credentials); got != "" || err != nil {
		t.Errorf("of credentials without one: %q, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "http"), []byte("of-a-credential-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := (HTTP{}).Token(credentials); got != "of-a-credential-1" || err != nil {
		t.Errorf("of a credential: %q, %v", got, err)
	}
	file := filepath.Join(dir, "given")
	if err := os.WriteFile(file, []byte("of-a-file-that-is-named\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := (HTTP{TokenFile: file}).Token(credentials); got != "of-a-file-that-is-named" || err != nil {
		t.Errorf("of a file, ahead of the credential: %q, %v", got, err)
	}
}

func TestEmptyLines(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r", "  \n", "\t\r\n"} {
		for _, head := range []string{"node: >\n  a\n", "node: |+\n  a\n", "cameras:\n  a:\n    labels:\n    - >-\n      a\n", "node: \"a\n"} {
			lines := strings.Count(head, "\n")
			text := head + strings.Repeat(end, 30000) + "  b\n"
			want := fmt.Sprintf("f:%d: more than 100 empty lines in a row", lines+101)
			if _, err := parse("f", []byte(text), "box"); err == nil || err.Error() != want {
				t.Errorf("%q after %q: %v, want %q", end, head, err, want)
			}
		}
	}
	text := "# a\n" + strings.Repeat("\n", 100) + minimal + strings.Repeat(" \r\n", 100) + "# b\n"
	if _, err := parse("f", []byte(text), "box"); err != nil {
		t.Errorf("100 empty lines: %v", err)
	}
}
