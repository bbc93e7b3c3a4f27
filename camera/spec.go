package camera

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Spec is a parsed source URI. The zero Spec names no source.
type Spec struct {
	scheme  string
	target  string   // path, device, or sensor number; "" for test:, http, rtsp and exec
	url     *url.URL // http, https, rtsp, rtsps; without fragment
	words   []string // exec: program and arguments
	options settings
}

// schemes are all that Parse takes, in the order that errors name them, with
// what may be set in each.
var schemes = []struct {
	name    string
	parse   func(s *Spec, rest string) error
	options []option
}{
	{"test", parseTest, []option{fpsOption, framesOption, seedOption, sizeOption}},
	{"file", parseFile, []option{fpsOption, loopOption}},
	{"v4l2", parseDevice, []option{formatOption, fpsOption, sizeOption}},
	{"http", parseURL, []option{fpsOption}},
	{"https", parseURL, []option{fpsOption}},
	{"rtsp", parseURL, []option{transportOption}},
	{"rtsps", parseURL, []option{transportOption}},
	{"csi", parseSensor, []option{fpsOption, sizeOption}},
	{"exec", parseCommand, nil},
}

// Parse reads a source URI:
//
//	test:?seed=1&fps=5&frames=100&size=640x480   drawn scenes
//	file:PATH?loop=1&fps=5, file:///PATH, PATH   picture, folder or film
//	v4l2:/dev/video0?size=1280x720&format=mjpeg&fps=30, /dev/…
//	http://host/path#fps=5, https://…            MJPEG, or a picture that is polled
//	rtsp://host/path#transport=udp, rtsps://…
//	csi://0?size=1280x720&fps=30
//	exec:COMMAND ARG…                            MJPEG on its standard output
//
// Options stand after ? or #; for http and rtsp, whose ? belongs to the camera,
// after # alone; exec takes none, all of it is the command. A path with ? or #
// in its name is written as file:///PATH with %3F and %23; a relative path with
// a colon as ./PATH. What stands before the options of file: and of a bare path
// is taken literally.
//
// Errors are one line, name what is wrong and what would be right, and never
// show credentials.
func Parse(uri string) (Spec, error) {
	if uri == "" {
		return Spec{}, errors.New("source: empty")
	}
	if strings.ContainsFunc(uri, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Spec{}, errors.New("source: has a control character in it")
	}
	name, rest := splitScheme(uri)
	for _, k := range schemes {
		if k.name != name {
			continue
		}
		s := Spec{scheme: name}
		rest, query := splitOptions(name, rest)
		if err := k.parse(&s, rest); err != nil {
			return Spec{}, fmt.Errorf("source %s: %w", name, err)
		}
		var err error
		if s.options, err = parseOptions(query, k.options); err != nil {
			return Spec{}, fmt.Errorf("source %s: %w", name, err)
		}
		return s, nil
	}
	return Spec{}, fmt.Errorf("source scheme %q is not known: want %s", name, strings.Join(schemeNames(), ", "))
}

func schemeNames() []string {
	var names []string
	for _, k := range schemes {
		names = append(names, k.name)
	}
	return names
}

// splitScheme tells a scheme from a bare path: what stands before the first
// colon, if it looks like one.
func splitScheme(uri string) (scheme, rest string) {
	if strings.HasPrefix(uri, "/dev/") {
		return "v4l2", uri
	}
	name, rest, ok := strings.Cut(uri, ":")
	if !ok || name == "" || strings.ContainsFunc(name, notInScheme) {
		return "file", uri
	}
	return strings.ToLower(name), rest
}

func notInScheme(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '+' || r == '-')
}

func splitOptions(scheme, rest string) (target, query string) {
	marks := "?#"
	switch scheme {
	case "exec":
		return rest, ""
	case "http", "https", "rtsp", "rtsps":
		marks = "#"
	}
	if i := strings.IndexAny(rest, marks); i >= 0 {
		return rest[:i], rest[i+1:]
	}
	return rest, ""
}

func parseTest(_ *Spec, rest string) error {
	if rest != "" && rest != "//" {
		return fmt.Errorf("%q: takes no path, only options after ?", rest)
	}
	return nil
}

func parseFile(s *Spec, rest string) (err error) {
	s.target, err = localPath(rest)
	return err
}

func parseDevice(s *Spec, rest string) (err error) {
	if s.target, err = localPath(rest); err != nil {
		return err
	}
	if !filepath.IsAbs(s.target) {
		return fmt.Errorf("%q: want a device such as /dev/video0", s.target)
	}
	return nil
}

// localPath reads PATH or //[localhost]/PATH; only the second is percent-decoded.
func localPath(rest string) (string, error) {
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		host, path, _ := strings.Cut(after, "/")
		if host != "" && host != "localhost" {
			return "", fmt.Errorf("%q: is on another host: want three slashes, file:///PATH", host)
		}
		decoded, err := url.PathUnescape("/" + path)
		if err != nil || strings.ContainsRune(decoded, 0) {
			return "", fmt.Errorf("%q: has a bad %% in it", path)
		}
		rest = decoded
	}
	if strings.Trim(rest, "/") == "" && !strings.HasPrefix(rest, "/") {
		return "", errors.New("no path")
	}
	return filepath.Clean(rest), nil
}

// parseURL never repeats what it cannot read: a password may be in it.
func parseURL(s *Spec, rest string) error {
	u, err := url.Parse(s.scheme + ":" + rest)
	if err != nil || u.Hostname() == "" {
		return fmt.Errorf("not an address: want %s://[user:password@]host[:port]/path", s.scheme)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("port %s: want 1 to 65535", port)
		}
	}
	s.url = u
	return nil
}

func parseSensor(s *Spec, rest string) error {
	s.target = strings.TrimPrefix(rest, "//")
	if n, err := strconv.ParseUint(s.target, 10, 8); err != nil || n > 15 {
		return fmt.Errorf("sensor %q: want a number from 0 to 15, as in csi://0", s.target)
	}
	return nil
}

func parseCommand(s *Spec, rest string) error {
	words, err := splitWords(rest)
	if err != nil {
		return err
	}
	if len(words) == 0 || words[0] == "" {
		return errors.New("no command")
	}
	s.words = words
	return nil
}

// Scheme is test, file, v4l2, http, https, rtsp, rtsps, csi or exec; "" for the
// zero Spec.
func (s Spec) Scheme() string { return s.scheme }

// String is the URI with what may be secret left out: user and password, the
// values of a camera's own query (many want the password there), a command's
// arguments. It is for logs and people, not for Parse.
func (s Spec) String() string {
	switch {
	case s.scheme == "":
		return ""
	case s.url != nil:
		return redactedURL(s.url) + s.options.suffix("#")
	case s.scheme == "exec" && len(s.words) > 1:
		return "exec:" + s.words[0] + " …"
	case s.scheme == "exec":
		return "exec:" + s.words[0]
	case s.scheme == "csi":
		return "csi://" + s.target + s.options.suffix("?")
	}
	return s.scheme + ":" + s.target + s.options.suffix("?")
}

// redactedURL shows where a camera is without what lets one in.
func redactedURL(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	text := shown.String()
	if u.User != nil {
		text = strings.Replace(text, "://", "://***@", 1)
	}
	if u.RawQuery == "" {
		return text
	}
	fields := strings.Split(u.RawQuery, "&")
	for i, field := range fields {
		if key, _, ok := strings.Cut(field, "="); ok {
			fields[i] = key + "=***"
		} else {
			fields[i] = "***"
		}
	}
	return text + "?" + strings.Join(slices.Compact(fields), "&")
}
