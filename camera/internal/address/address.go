// Package address reads where a source is, a path or a network camera's URL, and
// shows it, and any text that has one in it, without what lets one in.
package address

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// Path reads PATH or //[localhost]/PATH; only the second is percent-decoded.
func Path(text string) (string, error) {
	if after, ok := strings.CutPrefix(text, "//"); ok {
		host, path, _ := strings.Cut(after, "/")
		if host != "" && host != "localhost" {
			return "", fmt.Errorf("%q: is on another host: want three slashes, file:///PATH", host)
		}
		decoded, err := url.PathUnescape("/" + path)
		if err != nil || strings.ContainsRune(decoded, 0) {
			return "", fmt.Errorf("%q: has a bad %% in it", path)
		}
		text = decoded
	}
	if strings.Trim(text, "/") == "" && !strings.HasPrefix(text, "/") {
		return "", errors.New("no path")
	}
	return filepath.Clean(text), nil
}

// URL reads what follows scheme and colon. Its error never repeats what cannot be
// read: a password may be in it.
func URL(scheme, text string) (*url.URL, error) {
	u, err := url.Parse(scheme + ":" + text)
	// A / or ? of a password ends what is taken for the host and its port; a : of it makes a host, too.
	if err != nil || u.Hostname() == "" || strings.Contains(u.Hostname(), ":") && u.Host[0] != '[' || u.User == nil && u.Port() != "" && strings.Contains(text, "@") {
		return nil, fmt.Errorf("not an address: want %s://[user:password@]host[:port]/path; in user and password # is written %%23, %% %%25, / %%2F, ? %%3F, { %%7B, } %%7D; behind the host @ %%40", scheme)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("port %s: want 1 to 65535", port)
		}
	}
	return u, nil
}

// Port is the port of a network camera, its scheme's own where the URL names none.
func Port(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443", "rtsp": "554", "rtsps": "322"}[u.Scheme]
}
