package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Version is that of the schema. It goes up when a key is renamed, taken away or
// read in another way; keys that are added leave it.
const Version = 1

// formerKey is what has become of a key of an earlier version.
type formerKey struct {
	until int    // the last version that had it
	now   string // the key that has its meaning; "": none has
	note  string // how to write it there, or why there is none
}

// former are keys of earlier versions as they were written; a camera's are below
// cameras.<name>. Version 1 is the first, so that there is none yet.
// docs/upgrade.md lists them.
var former = map[string]formerKey{}

// unknown is the error about a key that is not among those of list.
func unknown(key string, list []field) error {
	if was, ok := former[generic(key)]; ok {
		return was.error()
	}
	return fmt.Errorf("unknown key: want one of %s", names(list))
}

// generic has a camera's key below cameras.<name>.
func generic(key string) string {
	if m := cameraKeys.FindStringSubmatch(key); m != nil {
		return "cameras.<name>." + m[1]
	}
	return key
}

func (k formerKey) error() error {
	switch {
	case k.now == "":
		return fmt.Errorf("was a key until version %d of the schema and is none any more: %s", k.until, k.note)
	case k.note == "":
		return fmt.Errorf("was a key until version %d of the schema: it is %s now", k.until, k.now)
	}
	return fmt.Errorf("was a key until version %d of the schema: it is %s now, %s", k.until, k.now, k.note)
}

// formerVariable is the error about a variable of a former key; nil: it is of none.
func formerVariable(variable string) error {
	for _, key := range slices.Sorted(maps.Keys(former)) {
		before, after, ofCamera := strings.Cut(EnvName(key), "<NAME>")
		if variable == before || ofCamera && strings.HasPrefix(variable, before) && strings.HasSuffix(variable, after) {
			return fmt.Errorf("%s %w", key, former[key].error())
		}
	}
	return nil
}
