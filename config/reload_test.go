package config

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const inForce = `
node: box
mqtt: {broker: "mqtt://one"}
cameras:
  door: {source: "test:"}
  yard: {source: "test:"}
`

// TestReload changes a file and holds what would be taken up, and what not, to the
// wish.
func TestReload(t *testing.T) {
	embedded := strings.Replace(inForce, "mqtt://one", Embedded, 1)
	for _, c := range []struct{ name, before, after, taken, restart string }{
		{"nothing", inForce, inForce + "# a comment\n", "", ""},
		{"a default spelt out", inForce, inForce + "latency: {budget: 50ms}\nhttp: {hosts: []}\n", "", ""},
		{"budget and level", inForce, inForce + "latency: {budget: 20ms}\nlog: {level: debug, format: json}\n", "latency.budget log.level", "log.format"},
		{"the model", inForce, inForce + "model: deit-tiny\nbackend: ref\nthreads: 1\nprecision: f32\n", "", "model backend precision threads"},
		{"a camera more", inForce, inForce + "  gate: {source: \"test:\"}\n", "cameras.gate", ""},
		{"a camera less", inForce, strings.Replace(inForce, "  door: {source: \"test:\"}\n", "", 1), "cameras.door", ""},
		{"another name", inForce, strings.Replace(inForce, "yard", "porch", 1), "cameras.porch cameras.yard", ""},
		{"of a camera", inForce, strings.Replace(inForce, "yard: {source: \"test:\"}", "yard: {source: \"test:?fps=1\", labels: [cat], publish: {frame: true}, region: [0, 0, 1, 0.5]}", 1),
			"cameras.yard.source cameras.yard.region cameras.yard.labels cameras.yard.publish.frame", ""},
		{"models of a camera", inForce, strings.Replace(inForce, "yard: {source: \"test:\"}", "yard: {source: \"test:\", models: {a: {stable: 2}, b: {}}}", 1), "cameras.yard.models", ""},
		{"another broker", inForce, strings.Replace(inForce, `"mqtt://one"`, `"mqtt://two", username: u, client_id: x, commands: false, topic_prefix: home, outbox: {size_mib: 1}`, 1),
			"mqtt.broker mqtt.username mqtt.client_id mqtt.commands", "mqtt.topic_prefix mqtt.outbox.size_mib"},
		{"another name of the node", inForce, strings.Replace(inForce, "box", "porch", 1), "", "node"},
		{"an embedded broker instead", inForce, embedded, "", "mqtt.broker"},
		{"another broker than the embedded", embedded, strings.Replace(inForce, `"mqtt://one"`, `"mqtts://two", ca_file: ca.pem, commands: false`, 1), "mqtt.commands", "mqtt.broker mqtt.ca_file"},
		{"another name at the embedded", embedded, strings.Replace(embedded, `"embedded"`, "embedded, username: u", 1), "", "mqtt.username"},
		{"discovery", inForce, inForce + "homeassistant: {enabled: false}\nhttp: {listen: 1}\n", "homeassistant.enabled", "http.listen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after := mustParse(t, c.before), mustParse(t, c.after)
			untouched := after
			now, changes := before.Reload(&after)
			if got := strings.Join(changes.Taken, " "); got != c.taken {
				t.Errorf("taken up: %s, want %s", got, c.taken)
			}
			if got := strings.Join(changes.Restart, " "); got != c.restart {
				t.Errorf("left to a restart: %s, want %s", got, c.restart)
			}
			if changes.None() != (c.taken+c.restart == "") {
				t.Errorf("%+v is none: %v", changes, changes.None())
			}
			if !reflect.DeepEqual(after, untouched) {
				t.Error("what was wanted has changed")
			}
			// What holds then is the wish, but for what needs a restart; and to take
			// up the same again changes nothing more.
			if _, again := now.Reload(&after); len(again.Taken) > 0 || !slices.Equal(again.Restart, changes.Restart) {
				t.Errorf("once more: %+v", again)
			}
			if _, back := now.Reload(&before); !slices.Equal(back.Taken, changes.Taken) || len(back.Restart) > 0 {
				t.Errorf("and back: %+v", back)
			}
		})
	}
}

// TestReloadKnowsEveryKey: a key that is changed is found, whichever it is, and
// docs/interface.md lists those that hold from the next start on.
func TestReloadKnowsEveryKey(t *testing.T) {
	before := mustParse(t, inForce)
	var restart []string
	for _, key := range leafKeys("", reflect.ValueOf(&before).Elem()) {
		after := mustParse(t, inForce)
		after.from = origins{"mqtt.client_id": origin{}}
		other(t, fieldAt(t, &after, key))
		_, changes := before.Reload(&after)
		if all := append(changes.Taken, changes.Restart...); !slices.Equal(all, []string{key}) {
			t.Errorf("%s changed: found %q", key, all)
		}
		restart = append(restart, changes.Restart...)
	}
	page, err := os.ReadFile("../docs/interface.md")
	if err != nil {
		t.Fatal(err)
	}
	if list := "- Held from the next start on, and named in the log: `" + strings.Join(restart, "`, `") + "`.\n"; !strings.Contains(string(page), list) {
		t.Errorf("docs/interface.md does not say %s", list)
	}
	var cam Camera
	for _, key := range leafKeys("", reflect.ValueOf(&cam).Elem()) {
		after := mustParse(t, inForce)
		changed := after.Cameras["door"]
		other(t, fieldAt(t, &changed, key))
		after.Cameras["door"] = changed
		if _, changes := before.Reload(&after); !slices.Equal(changes.Taken, []string{"cameras.door." + key}) {
			t.Errorf("cameras.door.%s changed: found %+v", key, changes)
		}
	}
}

func mustParse(t *testing.T, text string) Config {
	t.Helper()
	c, err := parse("f.yaml", []byte(text), "host")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func fieldAt(t *testing.T, of any, key string) reflect.Value {
	t.Helper()
	v := reflect.ValueOf(of).Elem()
	for word := range strings.SplitSeq(key, ".") {
		f, ok := find(fields(v), word)
		if !ok {
			t.Fatalf("no key %s", key)
		}
		v = f.value
	}
	return v
}

// other gives a value another.
func other(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Struct:
		other(t, v.Field(0))
	default:
		t.Fatalf("a key of kind %s", v.Kind())
	}
}
