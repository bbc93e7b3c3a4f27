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

// Find finds mark in chunk, or the beginning of one at its end, which is not whole; -1
// where there is neither, or no mark.
func Find(chunk, mark []byte) (at int, whole bool) {
	if len(mark) == 0 {
		return -1, false
	}
	if at := bytes.Index(chunk, mark); at >= 0 {
		return at, true
	}
	for n := min(len(mark)-1, len(chunk)); n > 0; n-- {
		if bytes.HasSuffix(chunk, mark[:n]) {
			return len(chunk) - n, false
		}
	}
	return -1, false
}
