// Package files is scheme file, and what a bare path is: a picture, a folder of
// pictures, or a film, which an ffmpeg child decodes.
package files

import (
	"fmt"
	"os"
	"strings"

	"dynvit/camera"
	"dynvit/camera/internal/address"
	"dynvit/camera/internal/option"
	"dynvit/regular"
)

// Scheme is file:PATH?loop=1&fps=5, file:///PATH and PATH.
func Scheme() camera.Scheme {
	return camera.Scheme{Names: []string{"file"}, Marks: "?#", Fixed: true, Parse: parse}
}

// target is a parsed URI.
type target struct {
	given option.Given
	path  string
	rate  option.Rate
	loop  bool
}

func parse(_, text, options string) (camera.Target, error) {
	path, err := address.Path(text)
	if err != nil {
		return nil, err
	}
	t := &target{path: path}
	loop := ""
	t.given, err = option.Parse(options, option.FPS(&t.rate), option.OneOf("loop", &loop, "0", "1"))
	t.loop = loop == "1"
	return t, err
}

func (t *target) String() string { return "file:" + t.path + t.given.After("?") }

// Open tells picture, folder and film apart.
func (t *target) Open(o camera.Options) (camera.Source, error) {
	info, err := os.Stat(t.path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("source %s: %w", t.path, regular.Pathless(err))
	case info.IsDir():
		return openPictures(t, o, listFolder)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("source %s: %w", t.path, regular.ErrIrregular)
	case isFilm(t.path): // a GIF too, which as a source of its own is played
		return openFilm(t, o)
	case IsPicture(t.path):
		return openPictures(t, o, listOne)
	}
	return nil, fmt.Errorf("source %s: neither a folder, nor a picture (%s), nor a film (%s)",
		t.path, Endings(), strings.Join(filmEndings, ", "))
}
