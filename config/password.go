package config

import (
	"os"
	"strings"

	"dynvit/regular"
)

// maxPassword bounds the file of a password, in bytes.
const maxPassword = 64 << 10

// Password reads the broker's password, from password_file or else from the
// systemd credential "mqtt" of this service; "" where there is neither. The error
// is a *Error.
func (c *Config) Password(getenv func(string) string) (string, error) {
	path := c.MQTT.PasswordFile
	if dir := getenv("CREDENTIALS_DIRECTORY"); path == "" && dir != "" {
		path = dir + "/mqtt"
		if _, err := os.Stat(path); os.IsNotExist(err) {
			return "", nil
		}
	}
	if path == "" {
		return "", nil
	}
	data, err := regular.Read(path, maxPassword)
	if err != nil {
		return "", Invalid("mqtt.password_file", "read %s: %w", path, regular.Pathless(err))
	}
	if data, err = plainText(data); err != nil {
		return "", Invalid("mqtt.password_file", "%s: %w", path, err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
