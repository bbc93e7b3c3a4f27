package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

var errStalled = errors.New("no bytes came any more")

// attempt asks for what is missing and appends what comes. A failure worth
// another attempt is a *brokenError.
func (f *fetch) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(f.stall, func() { cancel(errStalled) })
	defer watch.Stop()
	resp, err := f.ask(ctx)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f.answered = true
	total, err := f.judge(resp)
	if err != nil || total == f.partial.size {
		return err
	}
	return f.copy(ctx, resp.Body, total, func() { watch.Reset(f.stall) })
}

// ask sends the request. Content comes as it is: the checksum is of that.
func (f *fetch) ask(ctx context.Context) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return nil, f.refuse("%w", cause(ctx, err))
	}
	r.Header.Set("Accept-Encoding", "identity")
	if f.partial.size > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", f.partial.size))
	}
	resp, err := f.client.Do(r)
	if err != nil {
		return nil, &brokenError{cause(ctx, err)}
	}
	return resp, nil
}

// cause is what went wrong without the request, which the caller names.
func cause(ctx context.Context, err error) error {
	if reason := context.Cause(ctx); reason != nil {
		return reason
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// judge looks at an answer's head and returns how many bytes the file has, -1 if
// that is not said.
func (f *fetch) judge(resp *http.Response) (total int64, err error) {
	switch s := resp.StatusCode; {
	case s == http.StatusOK:
		f.resumed = false // all of it comes, from the start
		if err := f.partial.reset(); err != nil {
			return 0, err
		}
		total = resp.ContentLength
	case s == http.StatusPartialContent && f.partial.size > 0:
		first, n, err := contentRange(resp.Header.Get("Content-Range"))
		if err != nil || first != f.partial.size {
			return 0, f.refuse("asked for bytes from %d, answers with %q", f.partial.size, resp.Header.Get("Content-Range"))
		}
		total = n
	case s == http.StatusRequestedRangeNotSatisfiable && f.partial.size > 0:
		return f.beyond(resp.Header.Get("Content-Range"))
	case s == http.StatusRequestTimeout || s == http.StatusTooManyRequests || s >= 500:
		return 0, &brokenError{fmt.Errorf("answers %d %s", s, http.StatusText(s))}
	default:
		return 0, f.refuse("answers %d %s", s, http.StatusText(s))
	}
	if total > f.MaxBytes {
		return 0, f.refuse("has %d bytes, want at most %d", total, f.MaxBytes)
	}
	return total, nil
}

// beyond deals with a server that has nothing after what has come: that is all,
// or not of this file.
func (f *fetch) beyond(header string) (total int64, err error) {
	if header == fmt.Sprintf("bytes */%d", f.partial.size) {
		return f.partial.size, nil
	}
	if err := f.partial.reset(); err != nil {
		return 0, err
	}
	return 0, &brokenError{errors.New("has less than was fetched before")}
}

// contentRange reads "bytes 5-9/10"; the length is -1 for "*".
func contentRange(s string) (first, total int64, err error) {
	s, ok := strings.CutPrefix(s, "bytes ")
	span, length, ok2 := strings.Cut(s, "/")
	from, _, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, fmt.Errorf("not a range: %q", s)
	}
	if first, err = strconv.ParseInt(from, 10, 64); err != nil || length == "*" {
		return first, -1, err
	}
	total, err = strconv.ParseInt(length, 10, 64)
	return first, total, err
}

// copy appends a body, up to the limit.
func (f *fetch) copy(ctx context.Context, body io.Reader, total int64, alive func()) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		alive()
		if f.partial.size+int64(n) > f.MaxBytes {
			return errors.Join(f.refuse("sends more than %d bytes", f.MaxBytes), f.partial.reset())
		}
		if n > 0 {
			if err := f.partial.add(buf[:n]); err != nil {
				return err
			}
			f.Progress(f.partial.size, total)
		}
		switch {
		case err == io.EOF && total > f.partial.size:
			return &brokenError{io.ErrUnexpectedEOF}
		case err == io.EOF:
			return nil
		case err != nil:
			return &brokenError{cause(ctx, err)}
		}
	}
}
