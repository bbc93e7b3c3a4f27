package web

import (
	"context"
	"fmt"
	"io"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/picture"
)

// exchange is one HTTP request with its answer, which lasts over many frames if
// it is a stream.
type exchange struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser // nil before the answer
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

// picture reads a body that is one picture.
func (x *exchange) picture(f *camera.Frame) error {
	data, err := readBounded(f.Data[:0], x.body, picture.MaxStreamed)
	f.Data = data
	if err != nil {
		return err
	}
	f.Format = pictureFormat(data)
	return nil
}

// close breaks the exchange, if it is not over.
func (x *exchange) close() {
	x.cancel(context.Canceled)
	if x.body != nil {
		x.body.Close()
	}
}

// readBounded reads all of r behind dst; more than limit bytes are an error.
func readBounded(dst []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		var err error
		dst, err = picture.AppendFull(dst, r, max(cap(dst)-len(dst), 64<<10))
		switch {
		case len(dst) > limit:
			return dst, fmt.Errorf("picture of more than %d MiB", limit>>20)
		case err == io.ErrUnexpectedEOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}

// pictureFormat is what a picture's bytes say, JPEG if nothing: then it is for
// the decoder to complain.
func pictureFormat(data []byte) camera.Format {
	if format := picture.Format(data); format != 0 {
		return format
	}
	return camera.JPEG
}
