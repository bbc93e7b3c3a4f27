package picture

import (
	"bytes"
	"io"
	"slices"

	"dynvit/camera"
)

// Format says what the bytes of a picture are, 0 if neither JPEG nor PNG.
func Format(data []byte) camera.Format {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, SOI}):
		return camera.JPEG
	case bytes.HasPrefix(data, []byte("\x89PNG")):
		return camera.PNG
	}
	return 0
}

// AppendFull reads n bytes behind dst, growing it as they come rather than by
// what a peer promises; io.ErrUnexpectedEOF if there are fewer.
func AppendFull(dst []byte, r io.Reader, n int) ([]byte, error) {
	const step = 1 << 20
	for n > 0 {
		dst = slices.Grow(dst, min(n, step))
		at := len(dst)
		take := min(n, cap(dst)-at)
		got, err := io.ReadFull(r, dst[at:at+take])
		dst = dst[:at+got]
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return dst, err
		}
		n -= take
	}
	return dst, nil
}
