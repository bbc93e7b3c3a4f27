package download

import (
	"net/url"
	"strings"
)

// Redact is an address as it may be shown: without user, password and query, which
// let one in.
func Redact(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return redactText(address)
	}
	text := u.Scheme + "://"
	if u.User != nil {
		text += "***@"
	}
	text += u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		text += "?***"
	}
	return text
}

// redactText is Redact of what is no address, but may be meant as one: what stands
// before an @ may be a password, wherever it is.
func redactText(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "", text
	} else {
		scheme += "://"
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = "***@" + rest[i+1:]
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i] + "?***"
	}
	return scheme + rest
}
