package address

import (
	"net/url"
	"strings"
	"testing"
)

// TestRedactText: no part of what lets one in is left of a URL in a text, and the
// text around it stays, on one line.
func TestRedactText(t *testing.T) {
	for text, want := range map[string]string{
		"no address: a=b":                                   "no address: a=b",
		"get rtsp://cam:554/live: refused":                  "get rtsp://cam:554/live: refused",
		"http://me:s3cret@cam/x?pwd=s3cret: 401":            "http://***@cam/x?***: 401",
		"http://me:s3/cr@et@cam/x":                          "http://***",
		"http://me:s3cr@et@cam/x":                           "http://***@cam/x",
		"'rtsp://cam/user=a&password=s3cret/': gone":        "'rtsp://cam/user=***': gone",
		"rtsp://cam/user=a_password=s3cret_b=1.sdp?s3cret:": "rtsp://cam/user=***?***:",
		"rtsp://cam/0/a:s3cret/main: 404 Not Found":         "rtsp://cam/0/***: 404 Not Found",
		"rtsp://cam/a%3Ds3cret and http://h/":               "rtsp://cam/a%3D*** and http://h/",
		"http://me:s3\tcret@cam/x: \x1b[31m\xffgone\n":      `http://***@cam/x: \u001b[31m\xffgone\n`,
	} {
		if got := RedactText(text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// FuzzRedact: what a camera's path says of a password is shown by none of the two.
func FuzzRedact(f *testing.F) {
	f.Add("/user=admin&password=", "/x")
	f.Add("/0/admin:", "@/main?a=b")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "0s3cret0"
		u, err := url.Parse("rtsp://cam" + before + secret + after)
		if err != nil || u.Host != "cam" || !strings.ContainsAny(u.Path[:max(0, strings.Index(u.Path, secret))], "=:") {
			return // no password that could be told
		}
		if shown := Redact(u); strings.Contains(shown, secret) {
			t.Errorf("%s is shown as %s", u, shown)
		}
		if text := u.String(); !strings.ContainsAny(text, " '\"<>") {
			if shown := RedactText("get " + text + " failed"); strings.Contains(shown, secret) {
				t.Errorf("%s in a text is shown as %s", text, shown)
			}
		}
	})
}
