package config

import (
	"maps"
	"reflect"
	"slices"
)

// Changes are the keys in which a configuration differs from the one in force, in
// the order of keys.go. A camera that is new or gone is a key as a whole:
// cameras.door.
type Changes struct {
	Taken   []string // up while the daemon runs
	Restart []string // hold from the next start on
}

// None reports that nothing differs.
func (d *Changes) None() bool { return len(d.Taken)+len(d.Restart) == 0 }

// Reload is what can be in force without a restart when next is wanted: next, with
// the keys that need one as they are in c.
func (c *Config) Reload(next *Config) (Config, Changes) {
	now := *next
	now.Cameras = maps.Clone(next.Cameras)
	if _, given := next.from["mqtt.client_id"]; !given {
		now.MQTT.ClientID = clientID(c.Node) // the node stays what it is
	}
	d := differ{embedded: c.MQTT.Broker == Embedded || next.MQTT.Broker == Embedded}
	d.group("", false, reflect.ValueOf(c).Elem(), reflect.ValueOf(&now).Elem())
	return now, d.Changes
}

// differ compares the configuration in force with what is to be, and corrects that.
type differ struct {
	Changes
	embedded bool // the broker is or becomes the embedded one
}

func (d *differ) group(parent string, reload bool, before, now reflect.Value) {
	next := fields(now)
	for i, f := range fields(before) {
		d.field(joinKey(parent, f.name), reload || f.reloads(d.embedded), f, next[i])
	}
}

// reloads reports whether the key itself says that a change of it is taken up.
func (f field) reloads(embedded bool) bool {
	how := f.tag.Get("reload")
	return how == "yes" || how == "client" && !embedded
}

func (d *differ) field(key string, reload bool, before, now field) {
	cameras, are := before.value.Interface().(map[string]Camera)
	switch {
	case are:
		d.cameras(key, cameras, now.value.Interface().(map[string]Camera))
	case before.isGroup():
		d.group(key, reload, before.value, now.value)
	case reflect.DeepEqual(before.value.Interface(), now.value.Interface()):
	case reload:
		d.Taken = append(d.Taken, key)
	default:
		d.Restart = append(d.Restart, key)
		now.value.Set(before.value)
	}
}

func (d *differ) cameras(key string, before, now map[string]Camera) {
	all := maps.Clone(before)
	maps.Copy(all, now)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, had := before[name]
		is, has := now[name]
		if had && has {
			d.group(joinKey(key, name), true, reflect.ValueOf(&was).Elem(), reflect.ValueOf(&is).Elem())
			continue
		}
		d.Taken = append(d.Taken, joinKey(key, name))
	}
}
