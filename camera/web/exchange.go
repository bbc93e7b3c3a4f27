package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/picture"
)

// exchange is one HTTP request with its answer, which lasts over many frames if
// it is a stream.
type exchange struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	line   *line       // nil: none, or it was given back
	unbind func() bool // takes the line out of ctx

	body   *bufio.Reader // nil before the answer
	length int           // of the body in bytes, as the header has it; 0: it doesn't say
	kind   string        // content type
	again  bool          // the line may carry another request once the body is read
	opaque bool          // the body is a picture whose bytes don't tell its end, or is said to be one and doesn't begin so
	parts  *parts        // nil: the body is one picture
}

func newExchange(base context.Context) *exchange {
	x := &exchange{}
	x.ctx, x.cancel = context.WithCancelCause(base)
	return x
}

// guard runs do, which uses the exchange, for at most d and as long as ctx lasts;
// either breaks the exchange.
func (x *exchange) guard(ctx context.Context, d time.Duration, do func() error) error {
	timer := time.AfterFunc(d, func() { x.cancel(fmt.Errorf("no frame in %v", d)) })
	defer timer.Stop()
	stop := context.AfterFunc(ctx, func() { x.cancel(ctx.Err()) })
	defer stop()
	err := do()
	if err == nil {
		return nil
	}
	if cause := context.Cause(x.ctx); cause != nil {
		return cause
	}
	return err
}

// over has the exchange go over a line, which it owns from now on.
func (x *exchange) over(l *line) {
	x.line = l
	x.unbind = context.AfterFunc(x.ctx, func() { l.Close() })
}

// hangUp gives the line up.
func (x *exchange) hangUp() {
	if x.line != nil {
		x.unbind()
		x.line.Close()
		x.line = nil
	}
}

// close breaks the exchange, if it is not over.
func (x *exchange) close() {
	x.cancel(context.Canceled)
	x.hangUp()
}

// begin looks at what the body begins with. What the header says of it only decides
// where that doesn't tell.
func (x *exchange) begin(answer *http.Response) error {
	x.kind = answer.Header.Get("Content-Type")
	x.body, x.again = x.line.r, !answer.Close
	if len(answer.TransferEncoding) > 0 {
		x.body, x.again = bufio.NewReaderSize(answer.Body, 32<<10), false
	} else if answer.ContentLength > 0 {
		x.length = int(min(answer.ContentLength, picture.MaxStreamed+1))
	}
	media := mediaType(x.kind)
	several := strings.HasPrefix(media, "multipart/")
	if answer.ContentLength == 0 && !several && x.quiet(1) {
		return errNothing(x.kind)
	}
	start := x.start()
	switch {
	case isStreamed(picture.Format(start)):
	case picture.Format(start) != 0:
		x.opaque = true
	case bytes.HasPrefix(start, []byte("--")) || several || isHeader(string(start)):
		x.parts = newParts(x.body, boundaryOf(x.kind))
	case strings.HasPrefix(media, "image/"):
		x.opaque = true
	default:
		return errNothing(x.kind)
	}
	return nil
}

// errNothing is an answer with no picture in it.
func errNothing(kind string) error {
	return fmt.Errorf("no picture, and content type is %q: want multipart/x-mixed-replace or a picture, such as image/jpeg", kind)
}

// isStreamed reports whether a picture's end can be told by its bytes.
func isStreamed(f camera.Format) bool { return f == camera.JPEG || f == camera.PNG }

// start is what the body begins with, behind blank lines; less where it is shorter.
func (x *exchange) start() []byte {
	const blanks = 64
	for range blanks {
		first, err := x.body.Peek(1)
		if err != nil || !strings.ContainsRune(" \t\r\n", rune(first[0])) {
			break
		}
		x.body.Discard(1)
		x.length = max(0, x.length-1)
	}
	most := max(len("Content-"), picture.Enough)
	if x.length > 0 {
		most = min(most, x.length)
	}
	start, _ := x.body.Peek(most)
	return start
}

// picture reads a body that is one picture. Where another follows, the body is a
// stream from then on.
func (x *exchange) picture(f *camera.Frame) (err error) {
	if x.opaque {
		return x.whatever(f)
	}
	boundary := boundaryOf(x.kind)
	f.Data, err = picture.Cut(x.body, f.Data, picture.MaxStreamed, picture.Hints{
		Length: x.length, Over: func(*bufio.Reader) bool { return x.quiet(1) }, Boundary: delimiter(boundary),
	})
	if err == io.ErrUnexpectedEOF && x.length == 0 {
		err = nil // the decoder knows whether it is all there
	}
	if err != nil {
		return err
	}
	f.Format = pictureFormat(f.Data)
	if x.length < len(f.Data) && x.goesOn() {
		x.parts = newParts(x.body, boundary)
	}
	x.again = x.again && len(f.Data) == x.length
	return nil
}

// whatever reads a body that ends where it is said to, or with the answer. Where it is
// no picture, or shorter than it is said to be, it is for the decoder to complain.
func (x *exchange) whatever(f *camera.Frame) (err error) {
	const most = picture.MaxStreamed
	n := most + 1
	if x.length > 0 {
		n = x.length
	}
	x.again = false
	f.Data, err = picture.AppendFull(f.Data[:0], x.body, n)
	f.Format = pictureFormat(f.Data)
	switch {
	case len(f.Data) > most:
		return fmt.Errorf("picture of more than %d MiB", most>>20)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	}
	return err
}

// pause is for how long a picture's end is waited for, where there is nothing to
// tell it by.
const pause = 200 * time.Millisecond

// quiet reports whether the body ends ahead of n more bytes, or they don't come for a
// moment.
func (x *exchange) quiet(n int) bool {
	if x.body.Buffered() >= n {
		return false
	}
	x.line.SetReadDeadline(time.Now().Add(pause)) // fails only on a line that is closed
	defer x.line.SetReadDeadline(time.Time{})
	_, err := x.body.Peek(n)
	return err != nil
}

// goesOn reports whether a boundary or another picture follows a picture, behind what
// it may be padded with.
func (x *exchange) goesOn() bool {
	const padding = 64 << 10
	for left, need := padding, 1; left > 0; {
		if x.quiet(need) {
			return false
		}
		chunk, _ := x.body.Peek(x.body.Buffered())
		at, whole := first(chunk, startJPEG, startPNG, "--")
		if whole {
			return true
		}
		if at < 0 {
			at = len(chunk)
		}
		x.body.Discard(at)
		left, need = left-at, len(chunk)-at+1
	}
	return true
}

// spare is the line, if it may carry another request; the exchange is over.
func (x *exchange) spare() *line {
	l := x.line
	if l == nil || !x.again || !x.unbind() || l.r.Buffered() > 0 {
		x.close()
		return nil
	}
	x.line, l.used = nil, true
	x.cancel(context.Canceled)
	return l
}

// pictureFormat is what a picture's bytes say, JPEG if nothing: then it is for
// the decoder to complain.
func pictureFormat(data []byte) camera.Format {
	if format := picture.Format(data); format != 0 {
		return format
	}
	return camera.JPEG
}
