package files

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/picture"
	"dynvit/regular"
)

// maxPicture bounds a picture file, in bytes.
const maxPicture = 64 << 20

// endings are the names of pictures, and what they should hold.
var endings = map[string]camera.Format{
	".jpg": camera.JPEG, ".jpeg": camera.JPEG, ".png": camera.PNG, ".webp": camera.WebP, ".tif": camera.TIFF, ".tiff": camera.TIFF, ".bmp": camera.BMP,
	".gif": camera.GIF, ".heic": camera.HEIC, ".heif": camera.HEIC, ".hif": camera.HEIC, ".avif": camera.AVIF,
}

// IsPicture reports whether a file's name ends like a picture that we read, in any
// case.
func IsPicture(name string) bool { return formatByName(name) != 0 }

// Endings are those of pictures' names, sorted, for who is told what is looked for.
func Endings() string { return strings.Join(slices.Sorted(maps.Keys(endings)), ", ") }

// ReadPicture reads a picture file into f, whose Seq it leaves alone. What it is, its
// first bytes say, whatever its name; it is not decoded. A file of more than 64 MiB, or
// of no kind that is read, is an error.
func ReadPicture(f *camera.Frame, path string) error {
	if err := readFile(f, path); err != nil {
		return err
	}
	if f.Format = picture.Format(f.Data); f.Format == 0 {
		return fmt.Errorf("%s: no picture: want JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF", path)
	}
	return nil
}

// readFile fills f with a file's bytes, whatever they are; f.Format is not set.
func readFile(f *camera.Frame, path string) error {
	f.Data, f.Width, f.Height, f.Name, f.Captured = f.Data[:0], 0, 0, path, time.Now()
	file, err := regular.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() > maxPicture {
		return fmt.Errorf("%s: more than %d MiB", path, maxPicture>>20)
	}
	// The size may change as we read: only the bound holds.
	buf := bytes.NewBuffer(slices.Grow(f.Data, int(info.Size())+bytes.MinRead))
	if _, err := buf.ReadFrom(io.LimitReader(file, maxPicture)); err != nil {
		return fmt.Errorf("read %s: %w", path, regular.Pathless(err))
	}
	f.Data = buf.Bytes()
	return nil
}

// formatByName is what a picture's name says that it is; 0 where it says nothing.
func formatByName(path string) camera.Format { return endings[strings.ToLower(filepath.Ext(path))] }
