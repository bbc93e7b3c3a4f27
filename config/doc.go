// Package config is what a user can set: the keys with their defaults, bounds
// and lines of documentation, read from a strict YAML file, the environment and
// flags.
//
// One table of keys, drawn from the tags of [Config], serves all three, the
// printed configuration and its JSON schema, so a key is added in one place,
// keys.go. [Load] merges, the strongest last: default, file, environment, flag.
// Whatever is wrong is an [Error] that names the place: file:line:column,
// variable or flag. dynvit.yaml is the sample that is shipped.
package config
