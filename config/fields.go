package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"dynvit/preprocess"
	"dynvit/vit"
)

// field is one key of a struct of the configuration, with the value that it
// names.
type field struct {
	name  string // last word of the key
	tag   reflect.StructTag
	value reflect.Value
}

// fields lists the keys of the struct v in their order.
func fields(v reflect.Value) []field {
	var list []field
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		if name := tag.Get("yaml"); name != "" {
			list = append(list, field{name, tag, v.Field(i)})
		}
	}
	return list
}

// names lists the last words of keys.
func names(list []field) string {
	words := make([]string, len(list))
	for i, f := range list {
		words[i] = f.name
	}
	return strings.Join(words, ", ")
}

func find(list []field, name string) (field, bool) {
	i := slices.IndexFunc(list, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return list[i], true
}

// isGroup reports whether the key holds keys of its own.
func (f field) isGroup() bool {
	return f.value.Kind() == reflect.Struct && f.value.Type() != reflect.TypeFor[preprocess.Region]() && f.value.Type() != reflect.TypeFor[vit.Keep]()
}

func joinKey(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

func parentKey(key string) string {
	return key[:max(0, strings.LastIndexByte(key, '.'))]
}

// set gives a key the value that words say: one for a plain value, several for a
// list.
func (f field) set(words []string) error {
	p := f.value.Addr().Interface()
	switch p := p.(type) {
	case *[]string:
		if *p = words; len(words) == 0 {
			*p = nil // as where it is not given
		}
		return nil
	case *Models:
		return setModels(p, words)
	case *preprocess.Region:
		return setRegion(p, words)
	case *vit.Keep:
		k, err := vit.ParseKeep(strings.Join(words, ","))
		*p = k
		return err
	}
	if len(words) != 1 {
		return fmt.Errorf("a list of %d: want one value", len(words))
	}
	return setPlain(p, words[0])
}

func setPlain(p any, word string) error {
	var err error
	want := ""
	switch p := p.(type) {
	case *string:
		*p = word
	case *bool:
		want = "true or false"
		*p, err = parseBool(word)
	case *int:
		want = "a whole number"
		*p, err = strconv.Atoi(word)
	case *float64:
		want = "a number"
		*p, err = strconv.ParseFloat(word, 64)
	case *time.Duration:
		want = "a duration such as 50ms, 10s or 1m30s"
		*p, err = time.ParseDuration(word)
	default:
		panic(fmt.Sprintf("config: no text form of %T", p))
	}
	if err != nil {
		return fmt.Errorf("%q: want %s", word, want)
	}
	return nil
}

// parseBool is YAML 1.2's true and false alone: "yes", "on" and "1" mean other
// things in other files.
func parseBool(word string) (bool, error) {
	if word != "true" && word != "false" {
		return false, strconv.ErrSyntax
	}
	return word == "true", nil
}

func setRegion(r *preprocess.Region, words []string) error {
	if len(words) != 4 {
		return fmt.Errorf("%d numbers: want four, x0, y0, x1, y1", len(words))
	}
	for i, p := range []*float64{&r.X0, &r.Y0, &r.X1, &r.Y1} {
		if err := setPlain(p, words[i]); err != nil {
			return err
		}
	}
	return r.Check()
}

// checkBounds holds every value of a struct, and of the structs and maps in it,
// to its oneof, min and max.
func checkBounds(key string, config any) error {
	for _, f := range fields(reflect.ValueOf(config).Elem()) {
		if err := f.check(joinKey(key, f.name)); err != nil {
			return err
		}
	}
	return nil
}

func (f field) check(key string) error {
	switch v := f.value.Addr().Interface().(type) {
	case *string:
		return checkOneOf(key, *v, strings.Fields(f.tag.Get("oneof")))
	case *int:
		return checkRange(key, float64(*v), f.tag, parseNumber)
	case *float64:
		return checkRange(key, *v, f.tag, parseNumber)
	case *time.Duration:
		return checkRange(key, float64(*v), f.tag, parseNanoseconds)
	case *map[string]Camera:
		for _, name := range sortedNames(*v) {
			cam := (*v)[name]
			if err := checkBounds(joinKey(key, name), &cam); err != nil {
				return err
			}
		}
		return nil
	}
	if f.isGroup() {
		return checkBounds(key, f.value.Addr().Interface())
	}
	return nil
}

func sortedNames(cameras map[string]Camera) []string {
	c := Config{Cameras: cameras}
	return c.CameraNames()
}

func checkOneOf(key, value string, allowed []string) error {
	if len(allowed) == 0 || slices.Contains(allowed, value) {
		return nil
	}
	return Invalid(key, "%q: want one of %s", value, strings.Join(allowed, ", "))
}

// checkRange compares with the words of the tags min and max, which the error
// repeats. A value that is no number is outside of every range.
func checkRange(key string, value float64, tag reflect.StructTag, parse func(string) float64) error {
	low, high := tag.Get("min"), tag.Get("max")
	if value >= parse(low) && value <= parse(high) {
		return nil
	}
	return Invalid(key, "out of range: want %s to %s", low, high)
}

func parseNumber(word string) float64 {
	n, err := strconv.ParseFloat(word, 64)
	if err != nil {
		panic("config: tag with a bad number: " + word)
	}
	return n
}

func parseNanoseconds(word string) float64 {
	d, err := time.ParseDuration(word)
	if err != nil {
		panic("config: tag with a bad duration: " + word)
	}
	return float64(d)
}
