// Package web is schemes http and https: MJPEG as a multipart stream, or a single
// picture that is polled. What an answer is, its bytes say.
//
// line.go is a connection, ask.go asks over it (redirects, login.go), exchange.go is
// one request with its answer, and parts.go reads the pictures of a stream.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/address"
	"dynvit/camera/internal/lifetime"
	"dynvit/camera/internal/option"
	"dynvit/camera/trust"
)

// Limits of the source.
const (
	maxRedirects   = 4
	connectTimeout = 5 * time.Second
	pollRate       = 1 // pictures a second, where the URI does not say
)

// Scheme is http://host/path#fps=5 and https://…
func Scheme() camera.Scheme {
	return camera.Scheme{Names: []string{"http", "https"}, Marks: "#", Parse: parse}
}

// target is a parsed URI.
type target struct {
	given option.Given
	url   *url.URL // without fragment
	rate  option.Rate
}

func parse(name, text, options string) (camera.Target, error) {
	u, err := address.URL(name, text)
	if err != nil {
		return nil, err
	}
	t := &target{url: u}
	t.given, err = option.Parse(options, option.FPS(&t.rate))
	return t, err
}

func (t *target) String() string { return address.Redact(t.url) + t.given.After("#") }

func (t *target) Open(o camera.Options) (camera.Source, error) {
	plain := *t.url
	plain.User = nil
	return &source{
		Lifetime: lifetime.New(),
		name:     address.Redact(t.url),
		url:      &plain,
		login:    newLogin(t.url.User),
		trust:    o.Trust,
		stall:    o.StallLimit(),
		rate:     t.rate,
	}, nil
}

// source reads a camera.
type source struct {
	lifetime.Lifetime
	name  string   // for errors, without secrets
	url   *url.URL // without user and password
	login *login   // nil: no user
	trust trust.Trust
	stall time.Duration
	rate  option.Rate

	mu     sync.Mutex // held by Next, so that Close can wait for it
	open   *exchange  // the answer in hand; nil: none
	spare  *line      // left by the answer before; nil: none
	polled bool       // what the last answer was
	pacer  lifetime.Pacer
	seq    uint64
}

// Next reads the next part of the stream, or asks for the picture again when it
// is due. A stream that the server ends is an error, not io.EOF: a camera does
// that when it restarts.
func (h *source) Next(ctx context.Context, f *camera.Frame) error {
	if err := h.Check(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.polled {
		if err := h.pacer.Wait(ctx, &h.Lifetime); err != nil {
			return err
		}
	}
	for {
		if err := h.receive(ctx, f); err != nil {
			h.drop()
			return h.Because(ctx, h.explain(err))
		}
		h.seq++
		f.Seq, f.Captured = h.seq, time.Now()
		f.Width, f.Height, f.Name = 0, 0, ""
		if h.polled || !h.pacer.Early(f.Captured) {
			return nil
		}
	}
}

// receive brings one picture into f, asking for it first if no answer is open.
func (h *source) receive(ctx context.Context, f *camera.Frame) error {
	x := h.open
	if x == nil {
		x = newExchange(h.Base())
		h.open = x
	}
	err := x.guard(ctx, h.stall, func() error {
		if x.body == nil {
			if err := h.ask(x); err != nil {
				return err
			}
		}
		if x.parts != nil {
			return x.parts.next(f)
		}
		return x.picture(f)
	})
	if err != nil {
		return err
	}
	polled := x.parts == nil
	if polled {
		h.open, h.spare = nil, x.spare()
	}
	return h.found(ctx, polled)
}

// found takes note of what the answer is: a picture that is to be asked for again, or
// a stream of them.
func (h *source) found(ctx context.Context, polled bool) error {
	if h.seq > 0 && h.polled == polled {
		return nil
	}
	h.polled = polled
	if !polled {
		h.pacer = lifetime.NewPacer(h.rate.Or(0))
		return nil
	}
	h.pacer = lifetime.NewPacer(h.rate.Or(pollRate))
	return h.pacer.Wait(ctx, &h.Lifetime) // counts this one; it is due at once
}

// explain names the camera in an error, and makes what it says of others fit for a
// log.
func (h *source) explain(err error) error {
	if err == io.EOF {
		err = errors.New("the server ended the stream")
	}
	if clean := address.RedactText(err.Error()); clean != err.Error() {
		err = errors.New(clean)
	}
	return fmt.Errorf("%s: %w", h.name, err)
}

// drop gives the answer in hand up.
func (h *source) drop() {
	if h.open != nil {
		h.open.close()
		h.open = nil
	}
}

// Close hangs up and waits for Next to return.
func (h *source) Close() error {
	h.End()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop()
	if h.spare != nil {
		h.spare.Close()
		h.spare = nil
	}
	return nil
}
