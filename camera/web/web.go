// Package web is schemes http and https: MJPEG as a multipart stream, or a single
// picture that is polled; the content type of the first answer decides.
//
// web.go asks, exchange.go is one request with its answer, and parts.go reads the
// pictures of a stream.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/address"
	"dynvit/camera/internal/lifetime"
	"dynvit/camera/internal/option"
)

// Limits of the source. A camera redirects to another path or to https, not
// further.
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
	h := &source{
		Lifetime: lifetime.New(),
		name:     address.Redact(t.url),
		url:      plain.String(),
		user:     t.url.User,
		client:   newClient(o.StallLimit()),
		stall:    o.StallLimit(),
		rate:     t.rate,
	}
	h.base, h.hangUp = context.WithCancel(context.Background())
	return h, nil
}

// source reads a camera.
type source struct {
	lifetime.Lifetime
	name   string // for errors, without secrets
	url    string // without user and password
	user   *url.Userinfo
	client *http.Client
	stall  time.Duration
	rate   option.Rate

	mu     sync.Mutex // held by Next, so that Close can wait for it
	hangUp context.CancelFunc
	base   context.Context // ends with Close
	open   *exchange       // the answer in hand; nil: none
	polled bool            // what the first answer was
	pacer  lifetime.Pacer
	seq    uint64
}

// newClient makes a client that goes straight to the camera: the proxy of the
// environment is for the world outside.
func newClient(stall time.Duration) *http.Client {
	dialer := net.Dialer{Timeout: min(connectTimeout, stall)}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    connectTimeout,
			ResponseHeaderTimeout:  stall,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true,
		},
		CheckRedirect: checkRedirect,
	}
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer") // the address we come from may hold a password
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
		return fmt.Errorf("redirected from https to %s", req.URL.Scheme)
	}
	return nil
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
		x = newExchange(h.base)
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
	if x.parts == nil {
		h.drop()
	}
	return err
}

// ask sends the request and looks at the head of the answer.
func (h *source) ask(x *exchange) error {
	req, err := http.NewRequestWithContext(x.ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "dynvit")
	if h.user != nil {
		password, _ := h.user.Password()
		req.SetBasicAuth(h.user.Username(), password)
	}
	answer, err := h.client.Do(req)
	if err != nil {
		return err
	}
	x.body = answer.Body
	if answer.StatusCode != http.StatusOK {
		return errors.New(refusal(answer))
	}
	return h.begin(x, answer.Header.Get("Content-Type"))
}

// begin decides by the content type what the answer is.
func (h *source) begin(x *exchange, contentType string) error {
	rate := float64(pollRate)
	switch mediaType(contentType) {
	case "multipart/x-mixed-replace", "multipart/mixed":
		x.parts = newParts(x.body, boundaryOf(contentType))
		rate = 0
	case "image/jpeg", "image/jpg", "image/pjpeg", "image/png":
	default:
		return fmt.Errorf("content type is %q: want multipart/x-mixed-replace, image/jpeg or image/png", address.Printable(contentType))
	}
	if first := h.seq == 0; first {
		h.polled = x.parts == nil
		h.pacer = lifetime.NewPacer(h.rate.Or(rate))
		if h.polled {
			return h.pacer.Wait(x.ctx, &h.Lifetime) // counts this one; it is due at once
		}
	}
	return nil
}

// refusal is an answer's status, with what to do about it where that is known.
func refusal(answer *http.Response) string {
	text := address.Printable(answer.Status)
	challenge := strings.ToLower(answer.Header.Get("WWW-Authenticate"))
	if answer.StatusCode == http.StatusUnauthorized && strings.HasPrefix(challenge, "digest") {
		text += ": it wants digest authentication, only basic is spoken"
	} else if answer.StatusCode == http.StatusUnauthorized {
		text += ": want user:password@ before the host, or others"
	}
	return text
}

// explain names the camera in an error, and takes the address with its secrets
// out of it.
func (h *source) explain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
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
	h.hangUp()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop()
	h.client.CloseIdleConnections()
	return nil
}
