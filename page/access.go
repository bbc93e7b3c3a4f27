package page

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// A peer may be wrong about the token so often, and again after a while.
	mostWrong  = 10
	wrongEvery = 6 * time.Second
	// mostPeers that were wrong are remembered.
	mostPeers = 1024

	// Changes of all peers: a slider that is dragged makes some a second.
	changesBurst = 20
	changesRate  = 5

	// maxPayload bounds what is sent with a command, in bytes, as over MQTT.
	maxPayload = 1024
)

// access decides who may read and who may change.
type access struct {
	token   [sha256.Size]byte
	has     bool // a token
	origin  *http.CrossOriginProtection
	changes *rate.Limiter

	mu    sync.Mutex
	wrong map[netip.Addr]*rate.Limiter // by peer
}

func newAccess(token string) *access {
	return &access{
		token: sha256.Sum256([]byte(token)), has: token != "", origin: http.NewCrossOriginProtection(),
		changes: rate.NewLimiter(changesRate, changesBurst), wrong: map[netip.Addr]*rate.Limiter{},
	}
}

// refusal is an answer to who may not.
type refusal struct {
	code  int
	why   string
	after string // Retry-After, in seconds
}

// reading lets those through who may read: this machine, and who has the token.
func (a *access) reading(do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, no := a.judge(r)
		if no == nil && !sameSite(r) {
			no = &refusal{code: http.StatusForbidden, why: "asked by another site's page"}
		}
		if no != nil {
			no.answer(w)
			return
		}
		do(w, r)
	}
}

// changing lets those through who may change something: who has the token.
func (a *access) changing(do http.HandlerFunc) http.HandlerFunc {
	return a.holding(func(w http.ResponseWriter, r *http.Request) {
		if !a.changes.Allow() {
			(&refusal{http.StatusTooManyRequests, "too many changes at once", "1"}).answer(w)
			return
		}
		do(w, r)
	})
}

// holding lets those through who have the token.
func (a *access) holding(do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		bears, no := a.judge(r)
		switch {
		case no != nil:
		case a.origin.Check(r) != nil || !sameSite(r):
			no = &refusal{code: http.StatusForbidden, why: "asked by another site's page"}
		case !a.has:
			no = &refusal{code: http.StatusForbidden, why: "nothing can be changed here: http.token_file is not set"}
		case !bears:
			no = unauthorized()
		}
		if no != nil {
			no.answer(w)
			return
		}
		do(w, r)
	}
}

func unauthorized() *refusal {
	return &refusal{code: http.StatusUnauthorized, why: "want the token of http.token_file: Authorization: Bearer TOKEN"}
}

// judge says whether a request bears the token, and refuses who may not even read. A
// wrong token is refused wherever it comes from.
func (a *access) judge(r *http.Request) (bears bool, no *refusal) {
	peer := peerOf(r)
	scheme, token, given := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case given && a.has && a.exhausted(peer):
		return false, &refusal{http.StatusTooManyRequests, "too many wrong tokens", "10"}
	case given && a.has:
		got := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], a.token[:]) == 1 {
			return true, nil
		}
		a.fail(peer)
		return false, unauthorized()
	case peer.IsLoopback() && !forwarded(r):
		return false, nil
	case !a.has:
		return false, &refusal{code: http.StatusForbidden, why: "only this machine may read: http.token_file is not set"}
	}
	return false, unauthorized()
}

// exhausted reports whether a peer was wrong too often to be believed for now.
func (a *access) exhausted(peer netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.wrong[peer]
	return l != nil && l.Tokens() < 1
}

// fail notes that a peer was wrong.
func (a *access) fail(peer netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.wrong[peer]
	if l == nil {
		if len(a.wrong) >= mostPeers {
			clear(a.wrong)
		}
		l = rate.NewLimiter(rate.Every(wrongEvery), mostWrong)
		a.wrong[peer] = l
	}
	l.Allow()
}

// peerOf is who is at the other end, the zero address where that cannot be told.
func peerOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// forwarded reports whether a proxy says that it asks for somebody else.
func forwarded(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// sameSite reports that no page of another site has a browser ask. Programs say nothing
// of sites.
func sameSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	return false
}

func (no *refusal) answer(w http.ResponseWriter) {
	if no.code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if no.after != "" {
		w.Header().Set("Retry-After", no.after)
	}
	http.Error(w, no.why, no.code)
}

// showAccess says what who asks may do.
func (p *Page) showAccess(w http.ResponseWriter, r *http.Request) {
	bears, _ := p.access.judge(r)
	answer(w, http.StatusOK, struct {
		Change bool `json:"change"` // may change
		Token  bool `json:"token"`  // there is one to be had
	}{bears, p.access.has})
}

// command carries one out and answers as the topic result does. It goes on when who
// asked for it is gone.
func (p *Page) command(w http.ResponseWriter, r *http.Request) {
	payload, ok := body(w, r)
	if !ok {
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a calibration takes longer than the server's; a recorder has none
	name := r.PathValue("command")
	o, known := p.source.Command(p.ctx, name, payload)
	if !known {
		http.Error(w, fmt.Sprintf("no command %.60q", name), http.StatusNotFound)
		return
	}
	p.log.Info("command", "command", name, "ok", o.OK, "peer", peerOf(r).String())
	p.refresh()
	code := http.StatusOK
	if !o.OK {
		code = http.StatusUnprocessableEntity
	}
	answer(w, code, o)
}

// body reads what was sent; false: it was too much or cut off, which is answered.
func body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, fmt.Sprintf("more than %d bytes", maxPayload), http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, "not read whole", http.StatusBadRequest)
	}
	return payload, err == nil
}
