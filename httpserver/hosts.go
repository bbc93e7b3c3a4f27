package httpserver

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forHosts answers those alone that ask for a host by its address, for localhost,
// or by one of the names: a page from elsewhere whose name was made to lead here
// (DNS rebinding) asks by that name. Programs that name no host are no browsers.
func forHosts(names []string, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostOf(r.Host); host != "" && !isAddress(host) && host != "localhost" && !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) }) {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, fmt.Sprintf("not asked by a name of this server: %.100q is not in http.hosts", host), http.StatusForbidden)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

// hostOf is a Host header without its port, in small letters, without the dot that
// a name may end in.
func hostOf(header string) string {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = strings.Trim(header, "[]")
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
