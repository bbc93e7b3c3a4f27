package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"

	"dynvit/camera"
	"dynvit/camera/internal/address"
	"dynvit/camera/internal/picture"
)

// maxHeader bounds a part's header with all that stands before it, in bytes.
const maxHeader = 64 << 10

// parts reads the pictures of a multipart stream (RFC 2046, section 5.1, as
// multipart/x-mixed-replace). Cameras keep to little of it, so a boundary is not
// searched for in the pictures: a part ends where Content-Length says or, without
// it, where the JPEG does, which also spares waiting for the boundary that
// follows. Between parts any line that begins with two dashes is a boundary, and
// so is the declared one without them.
type parts struct {
	r        *bufio.Reader
	boundary string // as declared, without dashes before it; "" if it was not
}

func newParts(r io.Reader, boundary string) *parts {
	return &parts{r: bufio.NewReaderSize(r, 32<<10), boundary: strings.TrimLeft(boundary, "-")}
}

// mediaType is a content type without its parameters, in lower case.
func mediaType(contentType string) string {
	name, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(name))
}

// boundaryOf is the boundary that a content type declares, also in the forms that
// mime refuses.
func boundaryOf(contentType string) string {
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		return params["boundary"]
	}
	_, after, _ := strings.Cut(contentType, "boundary=")
	value, _, _ := strings.Cut(after, ";")
	return strings.Trim(strings.TrimSpace(value), `"`)
}

// next reads the next picture into f: format and data. Parts that say they are
// something else are skipped. io.EOF is the end of the stream.
func (p *parts) next(f *camera.Frame) error {
	for {
		h, err := p.header()
		if err != nil {
			return err
		}
		if err := p.body(f, h); err != nil {
			return err
		}
		if h.picture && len(f.Data) > 0 {
			f.Format = pictureFormat(f.Data)
			return nil
		}
	}
}

// partHeader is what we want of a part's header.
type partHeader struct {
	length  int // of the body in bytes; -1: not given
	picture bool
}

// header reads a boundary line and the lines up to an empty one.
func (p *parts) header() (partHeader, error) {
	h := partHeader{length: -1, picture: true}
	left := maxHeader
	for inside := false; ; {
		line, err := p.line(&left)
		if err != nil {
			return h, err
		}
		switch {
		case !inside && p.isEnd(line):
			return h, io.EOF
		case !inside:
			inside = p.isBoundary(line)
		case line == "":
			return h, nil
		default:
			if err := h.read(line); err != nil {
				return h, err
			}
		}
	}
}

// line reads one line without its end, and takes it off what is left.
func (p *parts) line(left *int) (string, error) {
	var b strings.Builder
	for {
		piece, err := p.r.ReadSlice('\n')
		if *left -= len(piece); *left < 0 {
			return "", fmt.Errorf("no part of a multipart stream in %d KiB", maxHeader>>10)
		}
		b.Write(piece)
		if err == nil {
			return strings.TrimRight(b.String(), "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
	}
}

func (p *parts) isBoundary(line string) bool {
	return strings.HasPrefix(line, "--") || p.boundary != "" && strings.TrimSpace(line) == p.boundary
}

// isEnd recognises the last boundary, which has two more dashes behind it.
func (p *parts) isEnd(line string) bool {
	return p.boundary != "" && strings.TrimLeft(strings.TrimSpace(line), "-") == p.boundary+"--"
}

// read takes one line of a part's header.
func (h *partHeader) read(line string) error {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "content-type":
		kind := mediaType(value)
		h.picture = kind == "" || strings.HasPrefix(kind, "image/") || kind == "application/octet-stream"
	case "content-length":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > picture.MaxStreamed {
			return fmt.Errorf("content length of a part is %q: want up to %d MiB", address.Printable(value), picture.MaxStreamed>>20)
		}
		h.length = n
	}
	return nil
}

// body reads a part's body into f.Data. One that is no picture and has no length
// has no end of its own; the search for the next boundary skips it.
func (p *parts) body(f *camera.Frame, h partHeader) (err error) {
	switch {
	case h.length >= 0:
		f.Data, err = picture.AppendFull(f.Data[:0], p.r, h.length)
	case h.picture:
		f.Data, err = picture.ReadJPEG(p.r, f.Data, picture.MaxStreamed)
	}
	return err
}
