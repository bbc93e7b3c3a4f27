// Package rtsp is schemes rtsp and rtsps: the keyframes of a network camera's
// H.264 or H.265. The transport is ours, so that a password never stands on a
// child's command line; an ffmpeg child decodes, one keyframe at a time.
//
// The way of a frame: stream.go receives packets and keeps the newest keyframe,
// which codec.go puts together with its parameter sets, rewritten by
// parameters.go so that no decoder holds it back; decoder.go makes pixels of it.
package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"dynvit/camera"
	"dynvit/camera/internal/address"
	"dynvit/camera/internal/ffmpeg"
	"dynvit/camera/internal/lifetime"
	"dynvit/camera/internal/option"
	"dynvit/camera/trust"
)

// Scheme is rtsp://host/path#transport=udp and rtsps://…
func Scheme() camera.Scheme {
	return camera.Scheme{Names: []string{"rtsp", "rtsps"}, Marks: "#", Parse: parse}
}

// target is a parsed URI.
type target struct {
	given     option.Given
	url       *url.URL // without fragment
	transport string   // tcp or udp
}

func parse(name, text, options string) (camera.Target, error) {
	u, err := address.URL(name, text)
	if err != nil {
		return nil, err
	}
	t := &target{url: u, transport: "tcp"}
	t.given, err = option.Parse(options, option.OneOf("transport", &t.transport, "tcp", "udp"))
	return t, err
}

func (t *target) String() string { return address.Redact(t.url) + t.given.After("#") }

func (t *target) Open(o camera.Options) (camera.Source, error) {
	program, err := ffmpeg.Find()
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", t, err)
	}
	return &source{
		Lifetime: lifetime.New(), name: address.Redact(t.url), url: t.url, transport: t.transport, ffmpeg: program, options: o,
		decodeLimit: min(o.StallLimit(), decodeLimit),
	}, nil
}

// source reads the keyframes of a stream.
type source struct {
	lifetime.Lifetime
	name      string // for errors, without secrets
	url       *url.URL
	transport string // tcp or udp
	ffmpeg    string // path
	options   camera.Options

	decodeLimit time.Duration // for one keyframe, a decoder's start included

	mu      sync.Mutex // held by Next, so that Close can wait for it
	stream  *stream    // nil: not connected
	decoder *decoder   // nil: none runs
	seq     uint64
	told    bool // that keyframes were given up
}

// Next returns the newest keyframe that came since the last; connecting is the
// first call's. What Captured says is when the whole of it had come.
func (r *source) Next(ctx context.Context, f *camera.Frame) error {
	if err := r.Check(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, done := r.until(ctx)
	defer done()
	err := r.next(ctx, f)
	if err != nil {
		given := r.drop()
		return r.Because(ctx, &camera.LostError{Frames: given, Err: r.explain(err)})
	}
	return nil
}

// until is ctx that ends with Close, too.
func (r *source) until(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(r.Base(), cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

func (r *source) next(ctx context.Context, f *camera.Frame) error {
	if r.stream == nil {
		var err error
		if r.stream, err = connect(ctx, r.url, r.transport, r.options); err != nil {
			return err
		}
	}
	for begun := time.Now(); ; {
		key, err := r.stream.wait(ctx, r.options.StallLimit())
		if err != nil {
			return err
		}
		r.seq += key.count
		r.report(key.lost)
		if err = r.show(ctx, key, f); err == nil {
			f.Seq, f.Captured, f.Name = r.seq, key.at, ""
			return nil
		}
		if !undecodable(err) || time.Since(begun) > r.options.StallLimit() {
			return err
		}
		r.say("keyframe not decoded", "why", err)
	}
}

// show makes a picture of a keyframe.
func (r *source) show(ctx context.Context, key *keyframe, f *camera.Frame) error {
	raw := r.stream.server.played.ffmpeg
	if raw == "" {
		f.Format, f.Width, f.Height = camera.JPEG, 0, 0
		f.Data = append(f.Data[:0], key.data...)
		return nil
	}
	if key.fresh {
		r.stopDecoder()
	}
	if r.decoder == nil {
		r.decoder = newDecoder(r.ffmpeg, raw, r.options, r.decodeLimit)
	}
	err := r.decoder.decode(ctx, key.data, f)
	if err != nil {
		r.stopDecoder()
	}
	return err
}

func (r *source) stopDecoder() {
	if r.decoder != nil {
		r.decoder.Close()
		r.decoder = nil
	}
}

// drop gives connection and decoder up, and returns how many keyframes were lost
// since the last that was shown.
func (r *source) drop() (given uint64) {
	if r.stream != nil {
		r.stream.close()
		given = r.stream.given()
		r.stream = nil
	}
	r.stopDecoder()
	return given
}

// explain names the camera in an error, says what to do where that is known, and
// takes secrets out of it.
func (r *source) explain(err error) error {
	err = trust.Explain(err)
	var status liberrors.ErrClientBadStatusCode
	hint := ""
	switch {
	case errors.Is(err, errNoAnswer), errors.As(err, new(liberrors.ErrClientRequestTimedOut)): // whoever is first
		err = fmt.Errorf("%w in %v", errNoAnswer, r.options.StallLimit())
		hint = r.doubtTLS()
	case errors.Is(err, errNoPacket), errors.As(err, new(liberrors.ErrClientUDPTimeout)), errors.As(err, new(liberrors.ErrClientTCPTimeout)):
		err = fmt.Errorf("%w over %s in %v", errNoPacket, r.transport, r.options.StallLimit())
		if r.transport == "udp" {
			hint = "is UDP blocked on the way? leave #transport=udp out"
		}
	case errors.As(err, &status):
		err, hint = fmt.Errorf("%d %s", status.Code, status.Message), r.advice(status.Code)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		err, hint = errors.New("the server closed the connection"), r.doubtTLS()
	case errors.As(err, new(tls.RecordHeaderError)):
		hint = r.doubtTLS()
	}
	if hint != "" {
		hint = ": " + hint
	}
	return errors.New(r.name + ": " + address.RedactText(err.Error()) + hint)
}

// doubtTLS is what to look at where nothing has come over TLS yet.
func (r *source) doubtTLS() string {
	if r.url.Scheme == "rtsps" && r.seq == 0 {
		return "does the camera speak TLS?"
	}
	return ""
}

func (r *source) advice(code base.StatusCode) string {
	switch code {
	case base.StatusUnauthorized, base.StatusForbidden:
		if r.url.User == nil {
			return "want user:password@ before the host"
		}
		return "wrong user or password"
	case base.StatusNotFound:
		return "the camera has no such path"
	case base.StatusUnsupportedTransport:
		return "the camera does not send over " + r.transport
	}
	return ""
}

// Close hangs up and waits for Next to return.
func (r *source) Close() error {
	r.End()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop()
	return nil
}

// report says the first time that keyframes were given up.
func (r *source) report(lost uint64) {
	if lost > 0 && !r.told {
		r.told = true
		r.say("keyframe given up, more will only be counted", "why", "packets are missing", "transport", r.transport)
	}
}

// say logs what is no reason to give the source up.
func (r *source) say(what string, about ...any) {
	if r.options.Log != nil {
		r.options.Log.Info(what, about...)
	}
}
