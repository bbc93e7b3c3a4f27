package files

import (
	"bytes"
	"fmt"
	"io"
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

// IsPicture reports whether a file's name ends like a picture that we read:
// .jpg, .jpeg or .png, in any case.
func IsPicture(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".png":
		return true
	}
	return false
}

// ReadPicture reads a JPEG or PNG file into f, whose Seq it leaves alone. What
// it is, its first bytes say; it is not decoded. A file of more than 64 MiB, or
// of neither kind, is an error.
func ReadPicture(f *camera.Frame, path string) error {
	if err := readFile(f, path); err != nil {
		return err
	}
	if f.Format = picture.Format(f.Data); f.Format == 0 {
		return fmt.Errorf("%s: neither JPEG nor PNG", path)
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

// formatByName is what a picture whose bytes don't tell should have been.
func formatByName(path string) camera.Format {
	if strings.EqualFold(filepath.Ext(path), ".png") {
		return camera.PNG
	}
	return camera.JPEG
}
