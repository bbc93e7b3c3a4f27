package web_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/camera/trust"
)

// secured serves a picture under a certificate of its own.
func secured(t *testing.T, certificate tls.Certificate) *httptest.Server {
	t.Helper()
	p := cameratest.Still(t, 9)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { picture(p)(w, r, nil) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// A camera whose certificate no authority signed is refused with its fingerprint, and
// taken by that or by a file with it; by another's it is not. So is one that plain http
// leads to.
func TestHTTPSTrust(t *testing.T) {
	mine, other := cameratest.Certificate(t, nil), cameratest.Certificate(t, nil)
	server := secured(t, mine)
	plain := serve(t, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		http.Redirect(w, r, server.URL+"/still", http.StatusMovedPermanently)
	})
	print := func(c tls.Certificate) string {
		sum := sha256.Sum256(c.Certificate[0])
		return hex.EncodeToString(sum[:])
	}
	for i, c := range []struct {
		trust trust.Trust
		want  string // in the error; "": none
	}{
		{trust.Trust{}, "set fingerprint: " + print(mine)},
		{trust.Trust{Fingerprint: print(mine)}, ""},
		{trust.Trust{CAFile: cameratest.PEM(t, mine)}, ""},
		{trust.Trust{Fingerprint: print(other)}, "another certificate than the one of its fingerprint"},
		{trust.Trust{CAFile: cameratest.PEM(t, other)}, "set fingerprint: " + print(mine)},
		{trust.Trust{CAFile: t.TempDir()}, "not a regular file"},
	} {
		for _, uri := range []string{server.URL, plain.URL} {
			err := open(t, uri, camera.Options{Trust: c.trust}).Next(t.Context(), new(camera.Frame))
			if (err == nil) != (c.want == "") || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("%d, %s: %v, want %q", i, uri, err, c.want)
			}
			if led := "redirected to " + server.URL; err != nil && strings.Contains(err.Error(), led) != (uri == plain.URL) {
				t.Errorf("%d, %s: %v, want %q of the one that is", i, uri, err, led)
			}
		}
	}
}
