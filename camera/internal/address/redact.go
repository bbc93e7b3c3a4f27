package address

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// Redact shows where a camera is without what lets one in: user, password, and
// the values of its own query.
func Redact(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	text := shown.String()
	if u.User != nil {
		text = strings.Replace(text, "://", "://***@", 1)
	}
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

// RedactText hides user, password and query of every URL in a text.
func RedactText(s string) string {
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

// withoutLogin takes what follows :// in a URL. A password may itself hold an @ or
// a / that nobody escaped: everything before the last @ goes.
func withoutLogin(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = "***@" + s[i+1:]
	}
	if i := strings.IndexByte(s, '?'); i >= 0 {
		s = s[:i+1] + "***"
	}
	return s
}

// Printable is what a stranger wrote as one line fit for a log: without control
// characters.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
