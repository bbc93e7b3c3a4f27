package camera_test

import (
	"strings"
	"testing"

	"dynvit/camera"
	"dynvit/camera/all"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		uri, scheme string
		shown       string // "": as written
	}{
		{uri: "test:", scheme: "test"},
		{uri: "test:?seed=1&fps=5&frames=100", scheme: "test"},
		{uri: "test://?size=320x240", scheme: "test", shown: "test:?size=320x240"},
		{uri: "file:a/b.jpg", scheme: "file"},
		{uri: "file:///a%20b/c%3F.mp4?loop=1&fps=2.5", scheme: "file", shown: "file:/a b/c?.mp4?loop=1&fps=2.5"},
		{uri: "file://localhost/a.png", scheme: "file", shown: "file:/a.png"},
		{uri: "/srv/photos#loop=0", scheme: "file", shown: "file:/srv/photos?loop=0"},
		{uri: "photos/", scheme: "file", shown: "file:photos"},
		{uri: "./odd:name.jpg", scheme: "file", shown: "file:odd:name.jpg"},
		{uri: "100%.jpg", scheme: "file", shown: "file:100%.jpg"},
		{uri: "v4l2:/dev/video0?size=1280x720&format=mjpeg&fps=30", scheme: "v4l2"},
		{uri: "v4l2:///dev/v4l/by-id/usb-x", scheme: "v4l2", shown: "v4l2:/dev/v4l/by-id/usb-x"},
		{uri: "/dev/video2#fps=10", scheme: "v4l2", shown: "v4l2:/dev/video2?fps=10"},
		{uri: "http://cam.lan/stream?channel=1#fps=5", scheme: "http", shown: "http://cam.lan/stream?channel=***#fps=5"},
		{uri: "HTTPS://me:s3cret@cam/x?user=a&pwd=b&raw", scheme: "https", shown: "https://***@cam/x?user=***&pwd=***&***"},
		{uri: "rtsp://me@cam:554/live#transport=udp", scheme: "rtsp", shown: "rtsp://***@cam:554/live#transport=udp"},
		{uri: "rtsps://cam", scheme: "rtsps"},
		{uri: "rtsp://cam:554/user=admin&password=s3cret&channel=1&stream=0.sdp", scheme: "rtsp", shown: "rtsp://cam:554/user=***"},
		{uri: "rtsp://cam/user=admin_password=s3cret_channel=1.sdp?real_stream", scheme: "rtsp", shown: "rtsp://cam/user=***?***"},
		{uri: "http://cam/a/user%3Dadmin%26password%3Ds3cret/b", scheme: "http", shown: "http://cam/a/user%3D***"},
		{uri: "rtsp://cam/0/admin:s3cret/main", scheme: "rtsp", shown: "rtsp://cam/0/***"},
		{uri: "rtsp://cam/p=admin:s3cret/main", scheme: "rtsp", shown: "rtsp://cam/p=***"},
		{uri: "rtsp://me:a%23b%25%3F%2F%7B%7D@cam/live", scheme: "rtsp", shown: "rtsp://***@cam/live"},
		{uri: "http://cam/to@me", scheme: "http"},
		{uri: "csi://0?size=1640x1232", scheme: "csi"},
		{uri: "csi:1", scheme: "csi", shown: "csi://1"},
		{uri: "exec:grab", scheme: "exec"},
		{uri: `exec:grab  -u "http://a:b@c/?x#y" 'a "b"' c\ d ""`, scheme: "exec", shown: "exec:grab …"},
	} {
		s, err := all.List().Parse(c.uri)
		if err != nil {
			t.Errorf("%s: %v", c.uri, err)
			continue
		}
		if s.Scheme() != c.scheme {
			t.Errorf("%s: got %s", c.uri, s.Scheme())
		}
		if want := c.scheme == "file" || c.scheme == "exec"; s.Fixed() != want {
			t.Errorf("%s may not come later: %v", c.uri, s.Fixed())
		}
		want := c.shown
		if want == "" {
			want = c.uri
		}
		if got := s.String(); got != want {
			t.Errorf("%s is shown as %s, want %s", c.uri, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ uri, want string }{
		{"", "source: empty"},
		{"a\nb", "control character"},
		{"ftp://x/y", `scheme "ftp" is not known: want test, file, v4l2, http`},
		{"test:scenes", `source test: "scenes"`},
		{"test:?fsp=5", `option "fsp" is not known: want fps, frames, seed, size`},
		{"test:?fps=fast", `option fps="fast": want frames a second`},
		{"test:?fps=NaN", `option fps="NaN"`},
		{"test:?fps=-1", `option fps="-1"`},
		{"test:?fps=1e9", `option fps="1e9"`},
		{"test:?fps=1e-9", `option fps="1e-9"`},
		{"test:?fps=1&fps=1", "option fps: given twice"},
		{"test:?seed=-1", `option seed="-1"`},
		{"test:?frames", `option frames=""`},
		{"test:?size=640", `option size="640": want WIDTHxHEIGHT`},
		{"test:?size=640x480x3", `option size="640x480x3"`},
		{"test:?size=8x8", `option size="8x8"`},
		{"test:?size=99999x480", `option size="99999x480"`},
		{"test:?seed=%zz", `option seed="%zz"`},
		{"file:", "source file: no path"},
		{"file:?loop=1", "source file: no path"},
		{"file://server/a.jpg", `"server": is on another host`},
		{"file:///a%zz", "has a bad %"},
		{"a.jpg?loop=yes", `option loop="yes": want 0 or 1`},
		{"v4l2:video0", "want a device such as /dev/video0"},
		{"v4l2:/dev/video0?format=h264", `option format="h264": want mjpeg`},
		{"http:cam", "source http: not an address"},
		{"http://", "not an address"},
		{"http://me:s3cret@:80/", "not an address"},
		{"rtsp://me:s3cret@:1:1/", "not an address"},
		{"rtsp://h:80:1/", "not an address"},
		{"http://me:s3cret@h:port/", "not an address"},
		{"http://cam:70000/", "port 70000"},
		{"http://cam/#transport=tcp", `option "transport" is not known: want fps`},
		{"rtsp://cam#transport=quic", "want tcp or udp"},
		{"rtsp://me:s3cret#2@cam/", "# is written %23"},
		{"rtsp://me:#s3cret@cam/", "is written %23"},
		{"rtsp://cam/user=me&password=a#s3cret", "is written %23"},
		{"rtsp://me:s3cret%2@cam/", "% %25"},
		{"rtsp://me:s3cret?2@cam/", "? %3F"},
		{"rtsp://me:5?s3cret@cam/", "? %3F"},
		{"rtsp://me:5/s3cret@cam/", "/ %2F"},
		{"rtsp://me:s3cret/@cam/", "/ %2F"},
		{"http://me:{s3cret}@cam/", "{ %7B"},
		{"/films/film #1.mp4", "a # or ? that belongs to a name (file:///PATH) or a password is written %23 or %3F"},
		{"file:why?.jpg", "%3F"},
		{"csi://front", `sensor "front": want a number`},
		{"csi://99", `sensor "99"`},
		{"exec:", "no command"},
		{"exec:  ", "no command"},
		{`exec:"" x`, "no command"},
		{`exec:grab "x`, `open "`},
		{`exec:grab x\`, "ends in a backslash"},
	} {
		_, err := all.List().Parse(c.uri)
		switch {
		case err == nil:
			t.Errorf("%q was taken", c.uri)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%q: %v, want %q in it", c.uri, err, c.want)
		case strings.Contains(err.Error(), "s3cret"):
			t.Errorf("%q: %v: shows the password", c.uri, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, uri := range []string{"test:?seed=1", "file:///a%20b?loop=1", "http://u:p@h/x?a=b#fps=5", `exec:a "b\"c" 'd'`, "csi://0", "h#transport=udp", "h:1/a?b"} {
		f.Add(uri)
	}
	const password = "s3cretPassw0rd"
	f.Fuzz(func(t *testing.T, uri string) {
		for _, uri := range []string{uri, "http://me:" + password + "@" + uri, "rtsp://h/?pwd=" + password + uri} {
			s, err := all.List().Parse(uri)
			text := s.String()
			if err != nil {
				text = err.Error()
			}
			if strings.ContainsAny(text, "\n\r") || strings.Contains(text, password) {
				t.Errorf("%q: %q", uri, text)
			}
			if (err == nil) != (s.Scheme() != "") {
				t.Errorf("%q: scheme %q, %v", uri, s.Scheme(), err)
			}
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		uri  string
		want string
	}{
		{"v4l2:/dev/video99?fps=5", "v4l2:/dev/video99: no such device"},
		{"no/such/file.jpg", "source no/such/file.jpg: no such file or directory"},
		{"no/such/film.mp4", "source no/such/film.mp4: no such file or directory"},
		{"scheme_test.go", "source scheme_test.go: neither a folder, nor a picture"},
		{"cameratest", "source cameratest: no pictures (.avif, .bmp, .gif, .heic, .heif, .hif, .jpeg, .jpg, .png, .tif, .tiff, .webp) in this folder"},
		{"exec:no-such-program a", "source exec:no-such-program: program not found"},
	} {
		_, err := all.List().Open(c.uri, camera.Options{})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.uri, err, c.want)
		}
	}
	if _, err := new(camera.Spec).Open(camera.Options{}); err == nil || err.Error() != "no source named" {
		t.Errorf("the zero Spec: %v", err)
	}
}
