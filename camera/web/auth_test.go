package web_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"dynvit/camera"
	"dynvit/camera/cameratest"
)

// gate asks for what it is told and lets in who answers it right.
type gate struct {
	challenges []string
	hash       func() hash.Hash // of digest; nil: basic
	nonces     int              // answers that one nonce is good for; 0: any number

	bare, asked, used atomic.Int64 // requests without an answer, challenges sent, answers to the present one
}

func (g *gate) open(r *http.Request) bool {
	head := r.Header.Get("Authorization")
	if head == "" {
		g.bare.Add(1)
		return false
	}
	if g.hash == nil {
		user, password, ok := r.BasicAuth()
		return ok && user == "me" && password == "s3:cret"
	}
	sent := map[string]string{}
	for _, field := range strings.Split(strings.TrimPrefix(head, "Digest "), ", ") {
		name, value, _ := strings.Cut(field, "=")
		sent[name] = strings.Trim(value, `"`)
	}
	sum := func(parts ...string) string {
		h := g.hash()
		h.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(h.Sum(nil))
	}
	nonce := fmt.Sprintf("n%d", g.asked.Load())
	n := g.used.Add(1)
	want := sum(sum("me", "gate", "s3:cret"), nonce, fmt.Sprintf("%08x", n), sent["cnonce"], "auth", sum("GET", r.URL.RequestURI()))
	return strings.HasPrefix(head, "Digest ") && sent["response"] == want && (g.nonces == 0 || n <= int64(g.nonces))
}

func (g *gate) serve(p []byte) func(http.ResponseWriter, *http.Request, <-chan struct{}) {
	return func(w http.ResponseWriter, r *http.Request, hold <-chan struct{}) {
		if g.open(r) {
			picture(p)(w, r, hold)
			return
		}
		n := g.asked.Add(1)
		g.used.Store(0)
		for _, c := range g.challenges {
			w.Header().Add("WWW-Authenticate", strings.Replace(c, "NONCE", fmt.Sprintf("n%d", n), 1))
		}
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// A camera is shown who we are when it asks, in the strongest way that it offers, and
// not asked to ask again for each picture.
func TestHTTPAuthenticates(t *testing.T) {
	const digest = `Digest realm="gate", nonce="NONCE", qop="auth"`
	for _, c := range []struct {
		name string
		gate *gate
		asks int64 // for three pictures
	}{
		{"basic", &gate{challenges: []string{`Basic realm="gate"`}}, 1},
		{"digest", &gate{challenges: []string{digest}, hash: md5.New}, 1},
		{"digest or basic", &gate{challenges: []string{`Basic realm="gate"`, digest}, hash: md5.New}, 1},
		{"digest of either kind", &gate{challenges: []string{digest, digest + ", algorithm=SHA-256"}, hash: sha256.New}, 1},
		{"digest offered, basic wanted", &gate{challenges: []string{digest, `Basic realm="gate"`}}, 2},
		{"nonces that last for one request", &gate{challenges: []string{digest + ", stale=true"}, hash: md5.New, nonces: 1}, 3},
	} {
		server := serve(t, c.gate.serve(cameratest.Still(t, 9)))
		s := open(t, "http://me:s3%3Acret@"+strings.TrimPrefix(server.URL, "http://")+"/a?b=c#fps=0", camera.Options{})
		for i := range 3 {
			if err := s.Next(t.Context(), new(camera.Frame)); err != nil {
				t.Fatalf("%s: picture %d: %v", c.name, i, err)
			}
		}
		if got := c.gate.asked.Load(); got != c.asks || c.gate.bare.Load() != 1 {
			t.Errorf("%s: asked %d times, want %d; %d requests without an answer, want 1", c.name, got, c.asks, c.gate.bare.Load())
		}
	}
}

func TestHTTPAuthenticationFails(t *testing.T) {
	for _, c := range []struct {
		user, challenge, want string
	}{
		{"me:wr0ng@", `Basic realm="gate"`, "401 Unauthorized: want user:password@"},
		{"me:wr0ng@", `Digest realm="gate", nonce="n"`, "401 Unauthorized: want user:password@"},
		{"", `Digest realm="gate", nonce="n"`, "401 Unauthorized: want user:password@"},
		{"me:wr0ng@", `Digest realm="gate", nonce="n", algorithm=SHA-512-256`, "401 Unauthorized: it wants digest sha-512-256, spoken are"},
		{"me:wr0ng@", `Digest realm="gate", nonce="n", Basic realm="gate"`, "401 Unauthorized: want user:password@"},
		{"me:wr0ng@", "Negotiate", "401 Unauthorized: it wants negotiate, spoken are"},
	} {
		g := &gate{challenges: []string{c.challenge}, hash: md5.New}
		server := serve(t, g.serve(nil))
		err := open(t, strings.Replace(server.URL, "://", "://"+c.user, 1), camera.Options{}).Next(t.Context(), new(camera.Frame))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "wr0ng") || g.asked.Load() > 3 {
			t.Errorf("%q, %q: %v after %d challenges, want %q", c.user, c.challenge, err, g.asked.Load(), c.want)
		}
	}
}
