package config

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"dynvit/camera"
	"dynvit/regular"
)

// Setting is one key set from outside of the file.
type Setting struct {
	Key   string // such as latency.budget or cameras.door.source
	Value string // lists are separated by commas
	Flag  string // the flag that set it, for errors: --budget
}

// LoadOptions say where a configuration comes from, the weakest first.
type LoadOptions struct {
	Schemes  camera.Schemes // what sources there are
	File     string         // "" for none
	Environ  []string       // name=value, as os.Environ
	Settings []Setting      // from flags
	Sources  []string       // URIs of --source: cameras cam0, cam1, …, in place of all others
	Host     string         // host name, for defaults
}

// Load reads, merges and validates a configuration: flag over environment over
// file over default. Without a file, a broker that is not named is the embedded
// one. An error is a *Error, or says that the file cannot be read (it wraps
// fs.ErrNotExist where there is none).
func Load(o LoadOptions) (Config, error) {
	c, from := Default(o.Host), origins{}
	c.from = from
	if o.File != "" {
		data, err := readFile(o.File)
		if err != nil {
			return c, fmt.Errorf("configuration %s: %w", o.File, err)
		}
		if err := (yamlReader{o.File, from}).read(data, &c); err != nil {
			return c, err
		}
	}
	if len(o.Sources) > 0 {
		clear(c.Cameras)
	}
	if err := applyEnv(o.Environ, &c, from); err != nil {
		return c, err
	}
	if err := applyFlags(o, &c, from); err != nil {
		return c, err
	}
	if o.File == "" && c.MQTT.Broker == "" {
		c.MQTT.Broker = Embedded
	}
	c.derive()
	return c, from.place(c.Validate(o.Schemes))
}

// readFile reads no more of a file than shows that it is too large.
func readFile(path string) ([]byte, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, regular.Pathless(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err != nil {
		return nil, regular.Pathless(err)
	}
	return data, nil
}

// derive fills the defaults that follow from other values.
func (c *Config) derive() {
	if c.MQTT.ClientID == "" {
		c.MQTT.ClientID = clientID(c.Node)
	}
}

func clientID(node string) string { return "dynvit-" + node }

func applyFlags(o LoadOptions, c *Config, from origins) error {
	for _, s := range append(sourceSettings(o.Sources, c), o.Settings...) {
		if err := apply(c, s, origin{s.Flag, true}, from); err != nil {
			return err
		}
	}
	return nil
}

// sourceSettings names sources cam0, cam1, … and drops cameras of other names:
// who types sources wants these alone. What the environment sets of cam0 holds.
func sourceSettings(uris []string, c *Config) []Setting {
	var list []Setting
	for i, uri := range uris {
		list = append(list, Setting{Key: "cameras.cam" + strconv.Itoa(i) + ".source", Value: uri, Flag: "--source"})
	}
	maps.DeleteFunc(c.Cameras, func(name string, _ Camera) bool {
		return len(list) > 0 && !slices.ContainsFunc(list, func(s Setting) bool { return s.Key == "cameras."+name+".source" })
	})
	return list
}

// apply sets one key from a text and remembers where it came from.
func apply(c *Config, s Setting, at origin, from origins) error {
	from[s.Key] = at
	var err error
	if rest, ok := strings.CutPrefix(s.Key, "cameras."); ok {
		err = applyCamera(c, rest, s.Value)
	} else {
		err = setKey(reflect.ValueOf(c).Elem(), s.Key, s.Value)
	}
	if err != nil {
		return &Error{Where: at.where, Key: s.Key, Flag: at.flag, Err: err}
	}
	return nil
}

// applyCamera sets rest, such as door.max_fps, of a camera that may be new.
func applyCamera(c *Config, rest, value string) error {
	name, key, ok := strings.Cut(rest, ".")
	if !ok || !IsCameraName(name) {
		return fmt.Errorf("camera name %q: want a to z, 0 to 9, _ and -", name)
	}
	cam, ok := c.Cameras[name]
	if !ok {
		cam = DefaultCamera()
	}
	err := setKey(reflect.ValueOf(&cam).Elem(), key, value)
	c.Cameras[name] = cam
	return err
}

// setKey sets a key such as publish.frame below v.
func setKey(v reflect.Value, key, value string) error {
	first, rest, nested := strings.Cut(key, ".")
	f, ok := find(fields(v), first)
	if !ok || f.isGroup() != nested {
		return fmt.Errorf("unknown key: want one of %s", names(fields(v)))
	}
	if nested {
		return setKey(f.value, rest, value)
	}
	return f.set(f.words(value))
}

// words splits a text at commas where the key holds a list.
func (f field) words(text string) []string {
	if f.value.Kind() == reflect.String {
		return []string{text}
	}
	if f.value.Kind() == reflect.Slice && text == "" {
		return nil
	}
	list := strings.Split(text, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}
