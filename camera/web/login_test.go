package web

import (
	"net/url"
	"strings"
	"testing"
)

// TestDigest holds answers to the examples of RFC 7616 (3.9.1) and RFC 2617 (3.5), and
// one without qop to RFC 2069's formula as curl computes it.
func TestDigest(t *testing.T) {
	const rfc7616 = `realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`
	for _, c := range []struct {
		name, challenge, user, password, cnonce, uri, want string
	}{
		{"MD5", "Digest algorithm=MD5, " + rfc7616, "Mufasa", "Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
			"/dir/index.html", "8ca523f5e9506fed4657c9700eebdbec"},
		{"SHA-256", "Digest algorithm=SHA-256, " + rfc7616, "Mufasa", "Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
			"/dir/index.html", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		{"2617", `Digest realm="testrealm@host.com",qop="auth,auth-int",nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"Mufasa", "Circle Of Life", "0a4f113b", "/dir/index.html", "6629fae49393a05397450978507c4ef1"},
		{"2069", `Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"Mufasa", "Circle Of Life", "", "/dir/index.html", "670fd8c2df070c60b045671b8b24ff02"},
	} {
		l := newLogin(url.UserPassword(c.user, c.password))
		l.nonce = func() string { return c.cnonce }
		if l.authorization(c.uri) != "" {
			t.Errorf("%s: it answers before it is asked", c.name)
		}
		if !l.challenged([]string{c.challenge}, anyStrength) {
			t.Errorf("%s: not answered", c.name)
			continue
		}
		got := parseChallenges([]string{l.authorization(c.uri)})
		if len(got) != 1 || got[0].fields["response"] != c.want || got[0].fields["username"] != c.user || got[0].fields["uri"] != c.uri {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

// TestStrongest: of several challenges the strongest is answered, in whatever order and
// headers they come; basic only where there is nothing better.
func TestStrongest(t *testing.T) {
	const basic, md5, sha = `Basic realm="a, b=c"`, `Digest realm="x", nonce="1", qop="auth"`, `Digest realm="x", nonce="2", algorithm=SHA-256, qop="auth"`
	const other, integrity = `Digest realm="x", nonce="3", algorithm=SHA-512-256`, `Digest realm="x", nonce="4", qop="auth-int"`
	for _, c := range []struct {
		headers []string
		want    string // begins the answer; "": none is given
	}{
		{[]string{basic}, "Basic bWU6cw=="},
		{[]string{basic, md5, sha}, `Digest username="me", realm="x", nonce="2"`},
		{[]string{sha + ", " + basic + ", " + md5}, `Digest username="me", realm="x", nonce="2"`},
		{[]string{md5 + ", " + basic}, `Digest username="me", realm="x", nonce="1"`},
		{[]string{other, basic}, "Basic"},
		{[]string{other, integrity, "Negotiate", "Bearer realm=x"}, ""},
		{[]string{`Digest realm="q\"u\\o", nonce=n`}, `Digest username="me", realm="q\"u\\o", nonce="n"`},
		{[]string{"", ",,", "=", `Digest realm="open`}, `Digest username="me", realm="open"`},
		{nil, ""},
	} {
		l := newLogin(url.UserPassword("me", "s"))
		answered := l.challenged(c.headers, anyStrength)
		got := l.authorization("/")
		if answered != (c.want != "") || !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%q: %q, want %q", c.headers, got, c.want)
		}
		if named := unspoken(c.headers); (named == "") != (answered || c.headers == nil) {
			t.Errorf("%q: unspoken %q", c.headers, named)
		}
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Digest realm="x", nonce="2", algorithm=SHA-256, qop="auth"`)
	f.Add(`Basic realm="a\\", Digest a = b`)
	f.Fuzz(func(t *testing.T, header string) {
		l := newLogin(url.UserPassword("me", "s3cret"))
		l.challenged([]string{header, header}, anyStrength)
		if got := l.authorization("/"); strings.Contains(got, "s3cret") {
			t.Errorf("%q", got)
		}
		unspoken([]string{header})
	})
}
