package web

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/url"
	"slices"
	"strings"
)

// login shows a camera who we are (RFC 7616, RFC 7617), once it asked: the password
// itself goes only where it wants nothing better. A nil login has no user.
type login struct {
	user, password string
	chosen         *challenge // nil: not asked yet
	count          int        // requests with its nonce
	nonce          func() string
}

func newLogin(u *url.Userinfo) *login {
	if u == nil {
		return nil
	}
	password, _ := u.Password()
	return &login{user: u.Username(), password: password, nonce: rand.Text}
}

// challenge is one way in which a camera wants to know.
type challenge struct {
	scheme string            // in lower case
	fields map[string]string // by name in lower case
}

// anyStrength is above that of any challenge.
const anyStrength = 4

// challenged takes a camera's challenges and chooses the strongest below a strength;
// false if it can answer none. Cameras offer digest that let in by basic alone.
func (l *login) challenged(headers []string, below int) bool {
	if l == nil {
		return false
	}
	best := 0
	l.chosen, l.count = nil, 0
	for _, c := range parseChallenges(headers) {
		if s := c.strength(); s > best && s < below {
			best, l.chosen = s, &c
		}
	}
	return l.chosen != nil
}

// strength orders what we can answer; 0 is what we can't.
func (c *challenge) strength() int {
	if c.scheme == "basic" {
		return 1
	}
	if c.scheme != "digest" || c.quality() == "" && c.fields["qop"] != "" {
		return 0
	}
	switch strings.TrimSuffix(c.algorithm(), "-sess") {
	case "md5":
		return 2
	case "sha-256":
		return 3
	}
	return 0
}

func (c *challenge) algorithm() string {
	if a := strings.ToLower(c.fields["algorithm"]); a != "" {
		return a
	}
	return "md5"
}

// quality is auth where the camera offers it; without an offer it follows RFC 2069.
func (c *challenge) quality() string {
	if slices.ContainsFunc(strings.Split(c.fields["qop"], ","), func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), "auth") }) {
		return "auth"
	}
	return ""
}

// authorization answers the challenge for a request; "" where there was none.
func (l *login) authorization(uri string) string {
	switch {
	case l == nil || l.chosen == nil:
		return ""
	case l.chosen.scheme == "basic":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(l.user+":"+l.password))
	}
	l.count++
	return l.chosen.digest(l.user, l.password, uri, l.count, l.nonce())
}

// digest is RFC 7616, section 3.4, for a GET.
func (c *challenge) digest(user, password, uri string, count int, cnonce string) string {
	newHash := md5.New
	if strings.HasPrefix(c.algorithm(), "sha-256") {
		newHash = sha256.New
	}
	realm, nonce, quality := c.fields["realm"], c.fields["nonce"], c.quality()
	secret := sum(newHash, user, realm, password)
	if strings.HasSuffix(c.algorithm(), "-sess") {
		secret = sum(newHash, secret, nonce, cnonce)
	}
	request := sum(newHash, "GET", uri)
	times := fmt.Sprintf("%08x", count)
	response := sum(newHash, secret, nonce, request)
	if quality != "" {
		response = sum(newHash, secret, nonce, times, cnonce, quality, request)
	}
	text := fmt.Sprintf("Digest username=%s, realm=%s, nonce=%s, uri=%s, response=%q", quoted(user), quoted(realm), quoted(nonce), quoted(uri), response)
	if a := c.fields["algorithm"]; a != "" {
		text += ", algorithm=" + a
	}
	if o, ok := c.fields["opaque"]; ok {
		text += ", opaque=" + quoted(o)
	}
	if quality != "" || strings.HasSuffix(c.algorithm(), "-sess") {
		text += ", cnonce=" + quoted(cnonce)
	}
	if quality != "" {
		text += ", qop=" + quality + ", nc=" + times
	}
	return text
}

func sum(newHash func() hash.Hash, parts ...string) string {
	h := newHash()
	h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}

// quoted is a quoted-string (RFC 9110, 5.6.4), which strconv's is not.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// unspoken names the schemes of challenges none of which we can answer; "" if we can.
func unspoken(headers []string) string {
	var names []string
	for _, c := range parseChallenges(headers) {
		if c.strength() > 0 {
			return ""
		}
		name := c.scheme
		if c.scheme == "digest" {
			name += " " + c.algorithm() + " " + c.fields["qop"]
		}
		names = append(names, strings.TrimSpace(name))
	}
	return strings.Join(names, " or ")
}

// parseChallenges reads headers WWW-Authenticate, each of which may hold several
// challenges with commas between them as between their fields. A word that has no
// value begins a challenge.
func parseChallenges(headers []string) []challenge {
	var list []challenge
	for _, rest := range headers {
		for rest != "" {
			var word, value string
			var given bool
			if word, value, given, rest = nextField(rest); word == "" {
				continue
			}
			word = strings.ToLower(word)
			if !given {
				list = append(list, challenge{word, map[string]string{}})
			} else if n := len(list); n > 0 {
				list[n-1].fields[word] = value
			}
		}
	}
	return list
}

// nextField takes a word off the front, with its value if one is given.
func nextField(s string) (word, value string, given bool, rest string) {
	s = strings.TrimLeft(s, " \t,")
	end := strings.IndexAny(s, " \t,=")
	if end < 0 {
		return s, "", false, ""
	}
	word, rest = s[:end], strings.TrimLeft(s[end:], " \t")
	if rest, given = strings.CutPrefix(rest, "="); !given {
		return word, "", false, rest
	}
	rest = strings.TrimLeft(rest, " \t")
	if !strings.HasPrefix(rest, `"`) {
		end := strings.IndexAny(rest, " \t,")
		if end < 0 {
			end = len(rest)
		}
		return word, rest[:end], true, rest[end:]
	}
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == '"':
			return word, b.String(), true, rest[i+1:]
		case rest[i] == '\\' && i+1 < len(rest):
			i++
		}
		b.WriteByte(rest[i])
	}
	return word, b.String(), true, ""
}
