package camera

import (
	"errors"
	"fmt"
	"strings"

	"dynvit/printable"
)

// Scheme is one kind of source, told by what stands before the colon of its
// URIs. Each has a folder of its own; camera/all lists them.
type Scheme struct {
	// Names are what may stand before the colon, in lower case.
	Names []string
	// Marks are the characters of which the first one ends the target and begins the
	// options. "": there are no options, all of it is the target.
	Marks string
	// Fixed says that what a URI names does not come later, as a camera may that is
	// plugged in: where Open does not find it, it was misspelt.
	Fixed bool
	// Parse reads the target and the options of a URI whose scheme is name. Its error
	// is one line, says what would be right, and never shows credentials.
	Parse func(name, target, options string) (Target, error)
}

// Target is what a Scheme makes of a URI.
type Target interface {
	// String is the URI with what may be secret left out, for logs and people.
	String() string
	// Open makes a source. It waits for no peer (a server, a child process): the
	// first Next does. What can be told at once is an error here: a missing file or
	// folder, a folder without pictures, a camera that is not there, in use or has
	// not what is asked for, and a program that is not installed.
	Open(o Options) (Source, error)
}

// Schemes are the kinds of source that a program knows, in the order in which
// errors name them. The list is a value: who reads URIs is handed one.
type Schemes []Scheme

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
func (l Schemes) Parse(uri string) (Spec, error) {
	if uri == "" {
		return Spec{}, errors.New("source: empty")
	}
	if strings.ContainsFunc(uri, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Spec{}, errors.New("source: has a control character in it")
	}
	name, rest := splitScheme(uri)
	scheme, ok := l.find(name)
	if !ok {
		return Spec{}, fmt.Errorf("source scheme %q is not known: want %s", name, strings.Join(l.names(), ", "))
	}
	target, options := rest, ""
	if i := strings.IndexAny(rest, scheme.Marks); i >= 0 {
		target, options = rest[:i], rest[i+1:]
	}
	t, err := scheme.Parse(name, target, options)
	if err != nil {
		return Spec{}, fmt.Errorf("source %s: %w", name, err)
	}
	return Spec{name, t, scheme.Fixed}, nil
}

// Open parses a source URI and opens what it names.
func (l Schemes) Open(uri string, o Options) (Source, error) {
	s, err := l.Parse(uri)
	if err != nil {
		return nil, err
	}
	return s.Open(o)
}

func (l Schemes) find(name string) (Scheme, bool) {
	for _, s := range l {
		for _, n := range s.Names {
			if n == name {
				return s, true
			}
		}
	}
	return Scheme{}, false
}

func (l Schemes) names() []string {
	var names []string
	for _, s := range l {
		names = append(names, s.Names...)
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

// Spec is a parsed source URI. The zero Spec names no source.
type Spec struct {
	scheme string
	target Target // nil: none
	fixed  bool
}

// Fixed reports whether what Open does not find will not come later either.
func (s Spec) Fixed() bool { return s.fixed }

// Scheme is the name of the URI's scheme in lower case, such as v4l2; "" for the
// zero Spec.
func (s Spec) Scheme() string { return s.scheme }

// String is the URI with what may be secret left out: user and password, the
// values of a camera's own query (many want the password there), a command's
// arguments. It is one printable line, for logs and people, not for Parse.
func (s Spec) String() string {
	if s.target == nil {
		return ""
	}
	return printable.Line(s.target.String()) // of a decoded path anything may have come
}

// Open makes a source, as Target.Open says.
func (s Spec) Open(o Options) (Source, error) {
	if s.target == nil {
		return nil, errors.New("no source named")
	}
	return s.target.Open(o)
}
