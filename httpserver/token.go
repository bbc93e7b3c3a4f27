package httpserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// forToken shows pages to those alone who send the token as "Authorization: Bearer
// TOKEN", and to all others what is open to them.
func forToken(token string, pages http.Handler, open *http.ServeMux) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bears(r, want) {
			pages.ServeHTTP(w, r)
			return
		}
		if open != nil {
			if _, pattern := open.Handler(r); pattern != "" {
				open.ServeHTTP(w, r)
				return
			}
		}
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "want the token of http.token_file: Authorization: Bearer TOKEN", http.StatusUnauthorized)
	})
}

// bears reports whether a request carries the token. How long that takes tells
// nothing of it.
func bears(r *http.Request, want [sha256.Size]byte) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}
