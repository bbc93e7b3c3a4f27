package config

import (
	"os"
	"strings"

	"dynvit/regular"
)

// maxPassword bounds the file of a password or token, in bytes.
const maxPassword = 64 << 10

// Password reads the broker's password, from password_file or else from the
// systemd credential "mqtt" of this service; "" where there is neither. The error
// is a *Error.
func (c *Config) Password(getenv func(string) string) (string, error) {
	path := orCredential(c.MQTT.PasswordFile, "mqtt", getenv)
	if path == "" {
		return "", nil
	}
	return firstLine("mqtt.password_file", path)
}

// orCredential is path, or where it is empty that of a systemd credential of this
// service; "" where there is neither.
func orCredential(path, name string, getenv func(string) string) string {
	dir := getenv("CREDENTIALS_DIRECTORY")
	if path != "" || dir == "" {
		return path
	}
	path = dir + "/" + name
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return ""
	}
	return path
}

// leastToken is how short a token may be, in bytes: who guesses is not slowed.
const leastToken = 16

// Token reads what must be sent to the local server, from token_file or else from the
// systemd credential "http" of this service; "" where there is neither. The error is a
// *Error.
func (h HTTP) Token(getenv func(string) string) (string, error) {
	path := orCredential(h.TokenFile, "http", getenv)
	if path == "" {
		return "", nil
	}
	token, err := firstLine("http.token_file", path)
	token = strings.TrimSpace(token)
	if err == nil && (len(token) < leastToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })) {
		return "", Invalid("http.token_file", "%s: want at least %d characters of ASCII without spaces, such as openssl rand -hex 16 makes", path, leastToken)
	}
	return token, err
}

// firstLine is that of a key's file.
func firstLine(key, path string) (string, error) {
	data, err := regular.Read(path, maxPassword)
	if err != nil {
		return "", Invalid(key, "read %s: %w", path, regular.Pathless(err))
	}
	if data, err = plainText(data); err != nil {
		return "", Invalid(key, "%s: %w", path, err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
