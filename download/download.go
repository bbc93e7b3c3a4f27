// Package download fetches one large file over HTTP. What has come is kept aside
// when the line breaks and completed later; the file appears under its name only
// when its checksum is right.
package download

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"dynvit/backoff"
	"dynvit/regular"
)

// PartialSuffix is appended to a file's path while not all of it has come.
const PartialSuffix = ".part"

const (
	stallLimit = 30 * time.Second // without a byte, before the line counts as broken
	patience   = 3                // attempts in a row that bring nothing
	firstWait  = time.Second      // before the next attempt; doubles
)

// Options say what to fetch and where to put it.
type Options struct {
	URL      string
	Path     string // of the file; what has come so far lies in Path + PartialSuffix
	SHA256   string // hexadecimal, what the file's checksum begins with, or all of it
	MaxBytes int64  // more than that is not fetched

	// Progress is called as bytes come, total being -1 where the server does not
	// say; nil: nobody watches.
	Progress func(done, total int64)

	client *http.Client // set by tests, as the rest
	stall  time.Duration
	wait   func(context.Context, time.Duration) error
}

// SourceError says that the server, or the way to it, did not give the file.
type SourceError struct {
	URL string // without user, password and query
	Err error
}

func (e *SourceError) Error() string { return fmt.Sprintf("%s: %v", e.URL, e.Err) }

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// File fetches a file. One that is there already with the right checksum is left
// as it is. A line that breaks is taken up again where it broke, also by a later
// call; several broken in a row without a byte are an error. Content whose
// checksum is wrong is deleted. Errors are one line; those that are not the
// machine's own are a *SourceError. A file is fetched by one process at a time.
func File(ctx context.Context, o Options) error {
	o = o.withDefaults()
	if ok, err := whole(o.Path, o.SHA256); ok || err != nil {
		return err
	}
	p, err := openPartial(o.Path + PartialSuffix)
	if err != nil {
		return err
	}
	defer p.close()
	if p.size > o.MaxBytes {
		if err := p.reset(); err != nil {
			return err
		}
	}
	f := fetch{Options: o, partial: p, resumed: p.size > 0}
	if err := f.run(ctx); err != nil {
		return err
	}
	return p.becomes(o.Path)
}

func (o Options) withDefaults() Options {
	if o.client == nil {
		o.client = newClient()
	}
	if o.stall == 0 {
		o.stall = stallLimit
	}
	if o.wait == nil {
		o.wait = backoff.Wait
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	return o
}

// whole reports whether the file is there with its checksum. One with another is
// replaced in the end.
func whole(path, sum string) (bool, error) {
	file, err := regular.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	found, err := sumOf(file)
	return strings.HasPrefix(found, sum), err
}

// newClient does not follow a redirection from https to http, and tells nobody where it
// was sent from: the checksum may be a short one, meant against damage, and the address
// hold what lets one in.
func newClient() *http.Client {
	return &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("redirected 10 times")
		}
		if r.URL.Scheme != "https" && via[0].URL.Scheme == "https" {
			return fmt.Errorf("redirected from https to %s", Redact(r.URL.String()))
		}
		r.Header.Del("Referer")
		return nil
	}}
}

// fetch is one call of File that has something to do.
type fetch struct {
	Options
	partial  *partial
	resumed  bool // not all of it came in one piece: it may be of two files
	answered bool // the server has been heard of
}

// run fills the partial file and checks it.
func (f *fetch) run(ctx context.Context) error {
	for {
		if err := f.fill(ctx); err != nil {
			return err
		}
		switch {
		case f.complete():
			return nil
		case !f.resumed:
			return errors.Join(f.wrong(), f.partial.remove())
		}
		f.resumed = false // once more, in one piece
		if err := f.partial.reset(); err != nil {
			return err
		}
	}
}

// complete reports whether what has come is the file.
func (f *fetch) complete() bool {
	return f.partial.size > 0 && strings.HasPrefix(hex.EncodeToString(f.partial.sum.Sum(nil)), f.SHA256)
}

// wrong says what came instead of the file.
func (f *fetch) wrong() error {
	sum := hex.EncodeToString(f.partial.sum.Sum(nil))[:max(8, len(f.SHA256))]
	err := fmt.Errorf("%d bytes with checksum %s…, want %s…: damaged, or another file", f.partial.size, sum, f.SHA256)
	if f.partial.text() {
		err = errors.New("answers with a page of text instead of the file")
	}
	return f.failed(err)
}

// fill makes attempts until the server has no more to send.
func (f *fetch) fill(ctx context.Context) error {
	idle := 0
	for {
		before := f.partial.size
		err := f.attempt(ctx)
		var broken *brokenError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &broken):
			return err
		case f.complete():
			return nil // the length was a lie
		case !f.answered:
			return f.failed(broken.error) // nothing there: say so at once
		}
		if idle++; f.partial.size > before {
			idle = 0
		}
		if idle == patience {
			return f.failed(broken.error)
		}
		f.resumed = f.resumed || f.partial.size > 0
		if err := f.wait(ctx, firstWait<<idle); err != nil {
			return err
		}
	}
}

// brokenError is a failure that another attempt may not meet.
type brokenError struct{ error }

// refuse is a failure that every attempt would meet.
func (f *fetch) refuse(format string, args ...any) error {
	return f.failed(fmt.Errorf(format, args...))
}

// failed says of an error that it is the server's, or of the way to it.
func (f *fetch) failed(err error) error { return &SourceError{Redact(f.URL), err} }

// sumOf is the hexadecimal SHA-256 of all that r has.
func sumOf(r io.Reader) (string, error) {
	h := newHash()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
