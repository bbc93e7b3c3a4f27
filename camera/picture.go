package camera

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxPicture bounds a picture file, in bytes.
const maxPicture = 64 << 20

// IsPicture reports whether a file's name ends like a picture that we read.
func IsPicture(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".png":
		return true
	}
	return false
}

// ReadPicture reads a JPEG or PNG file into f, whose Seq it leaves alone. What
// it is, its first bytes say; it is not decoded.
func ReadPicture(f *Frame, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	buf := bytes.NewBuffer(f.Data[:0])
	if _, err := buf.ReadFrom(io.LimitReader(file, maxPicture+1)); err != nil {
		return fmt.Errorf("read %s: %w", path, pathless(err))
	}
	f.Data, f.Width, f.Height, f.Name, f.Captured = buf.Bytes(), 0, 0, path, time.Now()
	switch {
	case len(f.Data) > maxPicture:
		return fmt.Errorf("%s: more than %d MiB", path, maxPicture>>20)
	case bytes.HasPrefix(f.Data, []byte{0xff, 0xd8}):
		f.Format = JPEG
	case bytes.HasPrefix(f.Data, []byte("\x89PNG")):
		f.Format = PNG
	default:
		return fmt.Errorf("%s: neither JPEG nor PNG", path)
	}
	return nil
}

// pathless takes the path off an error that will get one.
func pathless(err error) error {
	if p, ok := err.(*os.PathError); ok {
		return p.Err
	}
	return err
}
