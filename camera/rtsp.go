package camera

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
)

// rtspCamera reads the keyframes of an RTSP stream. The transport is ours, so that
// a password never stands on a child's command line; an ffmpeg child decodes.
type rtspCamera struct {
	lifetime
	name      string // for errors, without secrets
	url       *url.URL
	transport string // tcp or udp
	ffmpeg    string // path
	options   Options

	mu      sync.Mutex // held by Next, so that Close can wait for it
	hangUp  context.CancelFunc
	base    context.Context // ends with Close
	stream  *stream         // nil: not connected
	decoder *decoder        // nil: none runs
	seq     uint64
}

func openRTSP(s Spec, o Options) (Source, error) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return nil, fmt.Errorf("source %s: ffmpeg not found: install the ffmpeg package", s)
	}
	r := &rtspCamera{
		lifetime: newLifetime(), name: redactedURL(s.url), url: s.url, transport: s.options.transport, ffmpeg: ffmpeg, options: o,
	}
	if r.transport == "" {
		r.transport = "tcp"
	}
	r.base, r.hangUp = context.WithCancel(context.Background())
	return r, nil
}

// Next returns the newest keyframe that came since the last; connecting is the
// first call's. What Captured says is when the whole of it had come.
func (r *rtspCamera) Next(ctx context.Context, f *Frame) error {
	if err := r.check(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, done := r.until(ctx)
	defer done()
	err := r.next(ctx, f)
	if err != nil {
		r.drop()
		return r.because(ctx, r.explain(err))
	}
	return nil
}

// until is ctx that ends with Close, too.
func (r *rtspCamera) until(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(r.base, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

func (r *rtspCamera) next(ctx context.Context, f *Frame) error {
	if r.stream == nil {
		var err error
		if r.stream, err = connect(ctx, r.url, r.transport, r.options.stall()); err != nil {
			return err
		}
	}
	for begun := time.Now(); ; {
		key, err := r.stream.wait(ctx, r.options.stall())
		if err != nil {
			return err
		}
		if err = r.show(ctx, key, f); err == nil {
			r.seq += key.count
			f.Seq, f.Captured, f.Name = r.seq, key.at, ""
			return nil
		}
		if !undecodable(err) || time.Since(begun) > r.options.stall() {
			return err
		}
		r.options.say("keyframe not decoded", err)
	}
}

// show makes a picture of a keyframe.
func (r *rtspCamera) show(ctx context.Context, key *keyframe, f *Frame) error {
	if r.decoder == nil {
		r.decoder = newDecoder("decoder", r.ffmpeg, r.stream.codec, r.options)
	}
	err := r.decoder.decode(ctx, key.data, f)
	if err != nil {
		r.stopDecoder()
	}
	return err
}

func (r *rtspCamera) stopDecoder() {
	if r.decoder != nil {
		r.decoder.Close()
		r.decoder = nil
	}
}

// drop gives connection and decoder up.
func (r *rtspCamera) drop() {
	if r.stream != nil {
		r.stream.close()
		r.stream = nil
	}
	r.stopDecoder()
}

// explain names the camera in an error, says what to do where that is known, and
// takes secrets out of it.
func (r *rtspCamera) explain(err error) error {
	var status liberrors.ErrClientBadStatusCode
	hint := ""
	switch {
	case errors.Is(err, errNoAnswer), errors.As(err, new(liberrors.ErrClientRequestTimedOut)): // whoever is first
		err = fmt.Errorf("%w in %v", errNoAnswer, r.options.stall())
		hint = r.doubtTLS()
	case errors.Is(err, errNoPacket), errors.As(err, new(liberrors.ErrClientUDPTimeout)), errors.As(err, new(liberrors.ErrClientTCPTimeout)):
		err = fmt.Errorf("%w over %s in %v", errNoPacket, r.transport, r.options.stall())
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
	return errors.New(r.name + ": " + redactText(printable(err.Error())) + hint)
}

// doubtTLS is what to look at where nothing has come over TLS yet.
func (r *rtspCamera) doubtTLS() string {
	if r.url.Scheme == "rtsps" && r.seq == 0 {
		return "does the camera speak TLS?"
	}
	return ""
}

func (r *rtspCamera) advice(code base.StatusCode) string {
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
func (r *rtspCamera) Close() error {
	r.end()
	r.hangUp()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop()
	return nil
}

// say logs what is no reason to give a source up.
func (o Options) say(what string, err error) {
	if o.Log != nil {
		o.Log.Info(what, "why", err)
	}
}
