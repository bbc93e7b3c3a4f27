package web

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"

	"dynvit/camera"
	"dynvit/camera/internal/picture"
)

// maxHeader bounds a part's header, in bytes.
const maxHeader = 64 << 10

// parts reads the pictures of a multipart stream (RFC 2046, section 5.1, as
// multipart/x-mixed-replace). Cameras keep to little of it, so a picture is where
// its bytes are: it begins with a start of image, in a part or not, and ends with
// its end, whatever its part's header says. Only where the end is missing do the
// said length and the boundary count. Between pictures any line that begins with two
// dashes is a boundary, so is the declared one without them, and a line that says
// something about content begins a header without one.
type parts struct {
	r        *bufio.Reader
	boundary string // as declared, without dashes before it; "" if it was not
	line     []byte // the boundary as it was seen last; nil: not yet
	tail     int    // bytes of the last part that are said to be left: none begins a picture
}

func newParts(r *bufio.Reader, boundary string) *parts {
	return &parts{r: r, boundary: strings.TrimLeft(boundary, "-")}
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

// next reads the next picture into f: format and data. Parts that are and say they
// are something else are skipped. io.EOF is the end of the stream.
func (p *parts) next(f *camera.Frame) error {
	for {
		h, err := p.search()
		if err != nil {
			return err
		}
		for p.atBlank() {
			h.length = max(0, h.length-1)
		}
		if p.atPicture() {
			return p.picture(f, h)
		}
		if h.length <= 0 {
			continue // the search for what comes next skips it
		}
		if !h.picture {
			if _, err := p.r.Discard(h.length); err != nil {
				return unexpected(err)
			}
			continue
		}
		f.Data, err = picture.AppendFull(f.Data[:0], p.r, h.length) // for the decoder to complain
		f.Format = pictureFormat(f.Data)
		return err
	}
}

// picture cuts the picture out with which the stream goes on.
func (p *parts) picture(f *camera.Frame, h partHeader) (err error) {
	mark := p.line
	if mark == nil {
		mark = delimiter(p.boundary)
	}
	f.Data, err = picture.Cut(p.r, f.Data, picture.MaxStreamed, picture.Hints{Length: h.length, Over: p.isOver, Boundary: mark})
	f.Format = pictureFormat(f.Data)
	p.tail = max(0, h.length-len(f.Data))
	return err
}

// unexpected is an end inside a part.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// delimiter is a boundary as it stands in a stream; nil where none is declared.
func delimiter(boundary string) []byte {
	boundary = strings.TrimLeft(boundary, "-")
	if boundary == "" || len(boundary) > maxBoundary {
		return nil
	}
	return []byte("--" + boundary)
}

// maxBoundary bounds a boundary that is looked for in pictures, in bytes; RFC 2046
// allows 70.
const maxBoundary = 200

// atBlank steps over a byte of an empty line, if one comes next.
func (p *parts) atBlank() bool {
	next, err := p.r.Peek(1)
	if err != nil || next[0] != '\r' && next[0] != '\n' {
		return false
	}
	p.r.Discard(1)
	return true
}

// atPicture reports whether the stream goes on with a picture.
func (p *parts) atPicture() bool {
	start, _ := p.r.Peek(len(startJPEG))
	if !bytes.Equal(start, []byte(startJPEG)) {
		start, _ = p.r.Peek(len(startPNG))
	}
	return string(start) == startJPEG || string(start) == startPNG
}

// What a picture begins with, and hardly anything else: behind a JPEG's start comes
// another marker.
const (
	startJPEG = "\xff\xd8\xff"
	startPNG  = "\x89PNG"
)

// isOver reports whether a picture of the said length ends where r is: at the end of
// the stream, a boundary, or the line's end before one. More than that is not waited
// for.
func (p *parts) isOver(r *bufio.Reader) bool {
	if _, err := r.Peek(2); err != nil {
		return err == io.EOF
	}
	next, _ := r.Peek(min(r.Buffered(), maxBoundary))
	line := bytes.TrimLeft(next, "\r\n")
	if len(line) == len(next) {
		return bytes.HasPrefix(line, []byte("--"))
	}
	return begins(line, "--") || p.boundary != "" && begins(line, p.boundary)
}

// begins reports whether a line is what is wanted, as far as it has come.
func begins(line []byte, want string) bool {
	n := min(len(line), len(want))
	return string(line[:n]) == want[:n]
}

// partHeader is what we want of a part's header.
type partHeader struct {
	length  int  // of the body in bytes; 0: not given
	picture bool // or it isn't said what it is
}

// search reads up to a picture, or to the body of a part. The header's lines are
// bounded, and so is all that is passed over.
func (p *parts) search() (partHeader, error) {
	h := partHeader{picture: true}
	left, header := picture.MaxStreamed, maxHeader
	for inside := false; ; {
		before := left
		line, found, err := p.readLine(&left)
		if err != nil {
			return h, err
		}
		if found {
			return h, nil
		}
		switch {
		case !inside && p.isEnd(line):
			return h, io.EOF
		case !inside && p.isBoundary(line):
			inside, p.tail, p.line = true, 0, seen(line)
		case !inside && isHeader(line):
			inside, p.tail = true, 0
			h.read(line)
		case inside && line == "":
			return h, nil
		case inside:
			h.read(line)
			if header -= before - left; header < 0 {
				return h, fmt.Errorf("no end of a part's header in %d KiB", maxHeader>>10)
			}
		}
	}
}

// seen is a boundary's line as pictures are searched for it; nil where it is so
// short that a picture may hold it.
func seen(line string) []byte {
	line = strings.TrimSpace(line)
	if len(line) < len("--a-") || len(line) > maxBoundary {
		return nil
	}
	return []byte(line)
}

// readLine reads one line without its end, or up to a picture, which is found then.
// Of a long line only the front is returned. What is read is taken off what is left.
func (p *parts) readLine(left *int) (line string, found bool, err error) {
	var front []byte
	for need := 1; ; {
		if _, err := p.r.Peek(need); err != nil {
			return "", false, err
		}
		chunk, _ := p.r.Peek(p.r.Buffered())
		n := bytes.IndexByte(chunk, '\n') + 1
		ended := n > 0
		if !ended {
			n = len(chunk)
		}
		need = 1
		if at, whole := p.start(chunk[:n]); at >= 0 {
			n, found, ended = at, whole, false
			need = len(chunk) - at + 1 // where it isn't whole, what comes decides
		}
		front = append(front, chunk[:min(n, maxLine-len(front))]...)
		p.r.Discard(n)
		p.tail = max(0, p.tail-n)
		if *left -= n; *left < 0 {
			return "", false, fmt.Errorf("no picture in %d MiB of a stream", picture.MaxStreamed>>20)
		}
		if found || ended {
			return string(bytes.TrimRight(front, "\r\n")), found, nil
		}
	}
}

// maxLine bounds what is looked at of a line, in bytes.
const maxLine = 1 << 10

// start finds the first start of a picture in chunk, or the beginning of one at its
// end; -1 where there is neither.
func (p *parts) start(chunk []byte) (at int, whole bool) {
	from := min(p.tail, len(chunk))
	if at, whole = first(chunk[from:], startJPEG, startPNG); at < 0 {
		return -1, false
	}
	return from + at, whole
}

// first is picture.Find for the mark that comes first.
func first(chunk []byte, marks ...string) (at int, whole bool) {
	at = -1
	for _, mark := range marks {
		if i, w := picture.Find(chunk, []byte(mark)); i >= 0 && (at < 0 || i < at) {
			at, whole = i, w
		}
	}
	return at, whole
}

func (p *parts) isBoundary(line string) bool {
	return strings.HasPrefix(line, "--") || p.boundary != "" && strings.TrimSpace(line) == p.boundary
}

// isEnd recognises the last boundary, which has two more dashes behind it.
func (p *parts) isEnd(line string) bool {
	return p.boundary != "" && strings.TrimLeft(strings.TrimSpace(line), "-") == p.boundary+"--"
}

// isHeader recognises the first line of a part's header that has no boundary.
func isHeader(line string) bool {
	const what = "content-"
	return len(line) >= len(what) && strings.EqualFold(line[:len(what)], what)
}

// read takes one line of a part's header. A length that is no number, or larger than
// any picture, says nothing.
func (h *partHeader) read(line string) {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "content-type":
		kind := mediaType(value)
		h.picture = kind == "" || strings.HasPrefix(kind, "image/") || kind == "application/octet-stream"
	case "content-length":
		if n, err := strconv.Atoi(value); err == nil && n > 0 && n <= picture.MaxStreamed {
			h.length = n
		}
	}
}
