package address

import (
	"net/url"
	"slices"
	"strings"

	"dynvit/printable"
)

// Redact shows where a camera is without what lets one in: user, password, what
// its path says of them, and the values of its own query.
func Redact(u *url.URL) string {
	text := u.Scheme + "://"
	if u.User != nil {
		text += "***@"
	}
	text += u.Host + withoutPairs(u.EscapedPath())
	if u.RawQuery == "" {
		return text
	}
	fields := strings.Split(u.RawQuery, "&")
	for i, field := range fields {
		if key, _, ok := strings.Cut(field, "="); ok {
			fields[i] = key + "=***"
		} else {
			fields[i] = "***"
		}
	}
	return text + "?" + strings.Join(slices.Compact(fields), "&")
}

// withoutPairs hides what stands behind the first = of a path, as of
// /user=me&password=…/, and from a part on that has a colon, as of /me:…/: what
// ends a password there is every camera's own idea.
func withoutPairs(path string) string {
	mark, width := -1, 1
	for _, m := range []string{"=", "%3D", "%3d"} {
		if i := strings.Index(path, m); i >= 0 && (mark < 0 || i < mark) {
			mark, width = i, len(m)
		}
	}
	shown := path
	if mark >= 0 {
		shown = path[:mark+width] + "***"
	}
	if i := strings.IndexByte(shown, ':'); i >= 0 {
		shown = shown[:strings.LastIndexByte(shown[:i], '/')+1] + "***"
	}
	return shown
}

// RedactText is what a stranger wrote as one printable line, fit for a log: user,
// password, query and pairs in the path of every URL in it are hidden.
func RedactText(s string) string {
	s = printable.Line(s)
	var b strings.Builder
	for {
		i := strings.Index(s, "://")
		if i < 0 {
			return b.String() + s
		}
		end := i + 3
		if n := strings.IndexAny(s[end:], " \t'\"<>"); n >= 0 {
			end += n
		} else {
			end = len(s)
		}
		b.WriteString(s[:i+3])
		b.WriteString(withoutLogin(s[i+3 : end]))
		s = s[end:]
	}
}

// withoutLogin takes what follows :// in a URL. Where an @ stands behind a / that
// nobody escaped, either may be a password's, and nothing can be shown.
func withoutLogin(s string) string {
	address := strings.TrimRight(s, ":")
	end := s[len(address):] // of a sentence
	login := ""
	if i := strings.LastIndexByte(address, '@'); i >= 0 {
		if strings.ContainsAny(address[:i], "/?") {
			return "***" + end
		}
		login, address = "***@", address[i+1:]
	}
	if i := strings.IndexByte(address, '?'); i >= 0 {
		address, end = address[:i], "?***"+end
	}
	if i := strings.IndexByte(address, '/'); i >= 0 {
		address = address[:i] + withoutPairs(address[i:])
	}
	return login + address + end
}
