package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

const envPrefix = "DYNVIT_"

// notKeys are variables of ours that set no key.
var notKeys = []string{"DYNVIT_MODELS", "DYNVIT_AMX", "DYNVIT_REQUIRE", "DYNVIT_FAULTS"}

// EnvName is the variable of a key: mqtt.broker is DYNVIT_MQTT_BROKER, and - in
// a camera's name becomes _.
func EnvName(key string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

// serviceLink is a variable that Kubernetes sets in every pod beside a service
// whose name begins with dynvit (and Docker's links before it)
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
var serviceLink = regexp.MustCompile(`^DYNVIT_([A-Z0-9_]+_)?(` +
	`SERVICE_HOST=[0-9A-Fa-f:.]+|SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+|PORT=(tcp|udp|sctp)://.*|` +
	`PORT_[0-9]+_(TCP|UDP|SCTP)(=(tcp|udp|sctp)://.*|_PROTO=(tcp|udp|sctp)|_PORT=[0-9]+|_ADDR=[0-9A-Fa-f:.]+))$`)

// applyEnv sets what the environment sets. A DYNVIT_ variable that names no key
// is an error, as in the file: a misspelt one must not be ignored silently. An
// empty one counts as absent, which is what compose files make of one that is not
// set; so does one of Kubernetes' form. Lists are separated by commas.
func applyEnv(environ []string, c *Config, from origins) error {
	environ = slices.Sorted(slices.Values(environ)) // for the same error each time
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(notKeys, name) || value == "" {
			continue
		}
		key, err := keyOf(name, c)
		if err != nil && serviceLink.MatchString(entry) {
			continue
		}
		if err != nil {
			return &Error{Where: name, Err: err}
		}
		if err := apply(c, Setting{Key: key, Value: value}, origin{where: name}, from); err != nil {
			return err
		}
	}
	return nil
}

// keyOf finds the key of a variable. A camera of that name in the configuration
// is meant if there is one (its - written as _), else a new one of that name.
func keyOf(variable string, c *Config) (string, error) {
	if rest, ok := strings.CutPrefix(variable, envPrefix+"CAMERAS_"); ok {
		return cameraKey(rest, c)
	}
	for _, key := range leafKeys("", reflect.ValueOf(c).Elem()) {
		if EnvName(key) == variable {
			return key, nil
		}
	}
	return "", cmp.Or(formerVariable(variable), errors.New("no key has this variable: `dynvitd config schema` lists them"))
}

// cameraKey finds the key of a variable's rest such as FRONT_DOOR_MAX_FPS.
func cameraKey(rest string, c *Config) (string, error) {
	var cam Camera
	for _, leaf := range leafKeys("", reflect.ValueOf(&cam).Elem()) {
		suffix := strings.TrimPrefix(EnvName("."+leaf), envPrefix)
		word, ok := strings.CutSuffix(rest, suffix)
		if !ok || word == "" {
			continue
		}
		var meant []string
		for _, name := range c.CameraNames() {
			if EnvName(name) == envPrefix+word {
				meant = append(meant, name)
			}
		}
		switch len(meant) {
		case 0:
			meant = []string{strings.ToLower(word)}
		case 2:
			return "", fmt.Errorf("may mean camera %s or %s: rename one", meant[0], meant[1])
		}
		return "cameras." + meant[0] + "." + leaf, nil
	}
	return "", cmp.Or(formerVariable(envPrefix+"CAMERAS_"+rest), errors.New("no key of a camera has this variable: `dynvitd config schema` lists them"))
}

// leafKeys lists the keys below v that hold a value, cameras apart.
func leafKeys(parent string, v reflect.Value) []string {
	var keys []string
	for _, f := range fields(v) {
		key := joinKey(parent, f.name)
		switch {
		case f.isGroup():
			keys = append(keys, leafKeys(key, f.value)...)
		case f.name != "cameras":
			keys = append(keys, key)
		}
	}
	return keys
}
