package page

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAccess: this machine reads; who has the token reads from anywhere, and changes;
// no page of another site does either; nobody gets round it.
func TestAccess(t *testing.T) {
	bearer := []string{"Authorization", "Bearer " + token}
	const away = "192.0.2.7:40000"
	for _, c := range []struct {
		name         string
		token        string // that the daemon has
		header       []string
		read, change int
	}{
		{"this machine", token, nil, 200, 401},
		{"this machine by IPv6", token, []string{"peer", "[::1]:40000"}, 200, 401},
		{"this machine by mapped IPv6", token, []string{"peer", "[::ffff:127.0.0.1]:40000"}, 200, 401},
		{"with the token", token, bearer, 200, 200},
		{"in small letters", token, []string{"Authorization", "bearer " + token}, 200, 200},
		{"wrong token", token, []string{"Authorization", "Bearer wrong"}, 401, 401},
		{"empty token", token, []string{"Authorization", "Bearer "}, 401, 401},
		{"another scheme", token, []string{"Authorization", "Basic " + token}, 401, 401},
		{"from elsewhere", token, []string{"peer", away}, 401, 401},
		{"from elsewhere with the token", token, append([]string{"peer", away}, bearer...), 200, 200},
		{"from elsewhere by IPv6", token, []string{"peer", "[2001:db8::1]:40000"}, 401, 401},
		{"a peer that is none", token, []string{"peer", "@"}, 401, 401},
		{"by a proxy", token, []string{"X-Forwarded-For", "192.0.2.7"}, 401, 401},
		{"by another proxy", token, []string{"Forwarded", "for=192.0.2.7"}, 401, 401},
		{"by a third proxy", token, []string{"Via", "1.1 proxy"}, 401, 401},
		{"by a proxy with the token", token, append([]string{"X-Forwarded-For", "192.0.2.7"}, bearer...), 200, 200},
		{"no token set", "", nil, 200, 403},
		{"no token set, one sent", "", bearer, 200, 403},
		{"no token set, an empty one sent", "", []string{"Authorization", "Bearer "}, 200, 403},
		{"no token set, from elsewhere", "", []string{"peer", away}, 403, 403},
		{"another site's page", token, append([]string{"Sec-Fetch-Site", "cross-site"}, bearer...), 403, 403},
		{"a sibling's page", token, append([]string{"Sec-Fetch-Site", "same-site"}, bearer...), 403, 403},
		{"the page itself", token, append([]string{"Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:8484"}, bearer...), 200, 200},
		{"an old browser's page from elsewhere", token, append([]string{"Origin", "http://evil.example"}, bearer...), 200, 403},
		{"another port's page", token, append([]string{"Origin", "http://127.0.0.1:9999"}, bearer...), 200, 403},
		{"a sandboxed page", token, append([]string{"Origin", "null"}, bearer...), 200, 403},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, d, mux := newPage(c.token)
			defer p.Close()
			defer p.watch()()
			p.Hear(frame("door", 1))
			if w := asked(mux, "GET", "/page/camera/door/picture", c.header...); w.Code != c.read {
				t.Errorf("%s: picture %d %s, want %d", c.name, w.Code, w.Body, c.read)
			}
			if w := asked(mux, "HEAD", "/page/events", c.header...); w.Code != c.read {
				t.Errorf("%s: events %d, want %d", c.name, w.Code, c.read)
			}
			if w := asked(mux, "GET", "/page/access", c.header...); w.Code != c.read || strings.Contains(w.Body.String(), `"change":true`) != (c.read == 200 && c.token != "" && len(c.header) > 0 && strings.Contains(strings.Join(c.header, " "), token)) {
				t.Errorf("%s: access %d %s", c.name, w.Code, w.Body)
			}
			w := askedWith(mux, "POST", "/page/cmd/keep", "0.4", c.header...)
			if w.Code != c.change || (d.Settings().Keep == 0.4) != (c.change == 200) || w.Code == 401 && w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: keep %d %s, want %d; it is %v", c.name, w.Code, w.Body, c.change, d.Settings().Keep)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s: may be kept: %q", c.name, got)
			}
			if w := asked(mux, "GET", "/", c.header...); w.Code != 200 {
				t.Errorf("%s: the page itself %d", c.name, w.Code)
			}
		})
	}
}

// TestWrongTokens: who guesses is slowed, whatever it sends meanwhile; others are not.
func TestWrongTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, mux := newPage(token)
		defer p.Close()
		guess := func(peer, token string) int {
			return asked(mux, "GET", "/page/access", "peer", peer, "Authorization", "Bearer "+token).Code
		}
		for i := range mostWrong {
			if code := guess("192.0.2.7:40000", "wrong"); code != 401 {
				t.Fatalf("guess %d: %d", i, code)
			}
		}
		for _, token := range []string{"wrong", token} {
			if code := guess("192.0.2.7:40001", token); code != http.StatusTooManyRequests {
				t.Errorf("after %d guesses %q: %d", mostWrong, token, code)
			}
		}
		if code := guess("192.0.2.8:40000", token); code != 200 {
			t.Errorf("another peer: %d", code)
		}
		time.Sleep(wrongEvery)
		if code := guess("192.0.2.7:40000", token); code != 200 {
			t.Errorf("after a while: %d", code)
		}
		for i := range 3 * mostPeers {
			r := asked(mux, "GET", "/page/access", "peer", "[2001:db8::"+hex(i)+"]:1", "Authorization", "Bearer wrong")
			if r.Code != 401 {
				t.Fatalf("peer %d: %d", i, r.Code)
			}
		}
		if n := len(p.access.wrong); n > mostPeers {
			t.Errorf("%d peers are remembered", n)
		}
	})
}

func hex(i int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[i>>12&15], digits[i>>8&15], digits[i>>4&15], digits[i&15]})
}

// TestCommand: what it answers is the daemon's word, and what cannot be one is refused.
func TestCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, mux := newPage(token)
		defer p.Close()
		do := func(method, path, body string) (int, string) {
			w := askedWith(mux, method, path, body, "Authorization", "Bearer "+token)
			return w.Code, strings.TrimSpace(w.Body.String())
		}
		for _, c := range []struct {
			method, path, body string
			code               int
			says               string
		}{
			{"POST", "/page/cmd/keep", "0.4", 200, `{"id":null,"ok":true,"error":null,"value":0.4}`},
			{"POST", "/page/cmd/keep", "2", 422, `{"id":null,"ok":false,"error":"keep 2: want less","value":null}`},
			{"POST", "/page/cmd/reboot", "true", 404, `no command "reboot"`},
			{"POST", "/page/cmd/camera/door/enabled/more", "true", 404, "no command"},
			{"POST", "/page/cmd/keep", strings.Repeat("1", 1025), 413, "more than 1024 bytes"},
			{"POST", "/page/cmd/keep", strings.Repeat(" ", 1023) + "1", 200, `"ok":true`},
			{"GET", "/page/cmd/keep", "", 405, "Not Allowed"}, {"POST", "/page/events", "", 405, "Not Allowed"},
			{"DELETE", "/page/camera/door/picture", "", 405, "Not Allowed"}, {"GET", "/page/none", "", 404, "not found"},
			{"GET", "/page/../page/style.css", "", 307, ""}, {"GET", "/page/web/index.html", "", 404, ""}, {"GET", "/page/", "", 404, ""},
		} {
			if code, body := do(c.method, c.path, c.body); code != c.code || !strings.Contains(body, c.says) {
				t.Errorf("%s %s: %d %s", c.method, c.path, code, body)
			}
		}
		refused := 0
		for range 3 * changesBurst {
			if code, _ := do("POST", "/page/cmd/keep", "0.5"); code == http.StatusTooManyRequests {
				refused++
			}
		}
		if refused < changesBurst || refused > 3*changesBurst-1 {
			t.Errorf("%d of %d changes at once were refused", refused, 3*changesBurst)
		}
		time.Sleep(time.Second)
		if code, _ := do("POST", "/page/cmd/keep", "0.5"); code != 200 {
			t.Errorf("a second later: %d", code)
		}
	})
}
