package rtsp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"dynvit/camera"
)

// connectTimeout bounds how long the server's machine may take to answer.
const connectTimeout = 5 * time.Second

// errNoPacket is a stream that began to play and sent nothing.
var errNoPacket = errors.New("no packet")

// keyframe is one that can be decoded.
type keyframe struct {
	data  []byte    // in Annex B's form, or a JPEG file
	at    time.Time // when the last of it came
	count uint64    // keyframes that it stands for: itself, those that it replaced, and the lost
	lost  uint64    // those that were given up
	fresh bool      // it wants a decoder that has seen nothing yet
}

// maker finds the keyframes among a stream's pictures.
type maker interface {
	// add appends to dst what a decoder wants, if the picture is complete.
	add(dst []byte, p *picture) ([]byte, verdict)
}

// stream is a connection to an RTSP server that plays. Its client's goroutines put
// keyframes in; wait takes the newest out.
type stream struct {
	client  *gortsplib.Client
	line    line
	server  server
	failed  chan struct{} // closed when the connection is over
	why     error         // of that; to be read after failed
	packets atomic.Uint64

	ready chan struct{} // holds one: newest was set
	mu    sync.Mutex
	// They change places: one is filled, one is looked at.
	newest, taken *keyframe
	spare         []byte           // what the next keyframe is collected in; the client's alone
	seen          [verdicts]uint64 // pictures, by verdict
	missed        uint64           // keyframes given up since the newest
	recovers      bool             // it has points of recovery, which may stand for keyframes
}

// connect begins to play the first video of an address, within limit and as long
// as ctx lasts.
func connect(ctx context.Context, u *url.URL, transport string, o camera.Options) (*stream, error) {
	limit := o.StallLimit()
	config, err := o.Trust.Config(u.Hostname())
	if err != nil {
		return nil, err
	}
	protocol := gortsplib.ProtocolTCP
	if transport == "udp" {
		protocol = gortsplib.ProtocolUDP
	}
	s := &stream{
		client: &gortsplib.Client{
			Scheme: u.Scheme, Host: u.Host, Protocol: &protocol,
			ReadTimeout: limit, WriteTimeout: min(limit, connectTimeout), UserAgent: "dynvit", TLSConfig: config,
			// Lost packets cost a keyframe at most, and silence must not fill the log.
			OnPacketsLost:     func(uint64) {},
			OnDecodeError:     func(error) {},
			OnTransportSwitch: func(error) {},
		},
		server: server{url: u},
		failed: make(chan struct{}), ready: make(chan struct{}, 1),
		newest: new(keyframe), taken: new(keyframe),
	}
	s.client.DialContext = s.line.dial
	s.client.OnResponse = s.server.answered
	if err := s.client.Start(); err != nil {
		return nil, err
	}
	if err := s.within(ctx, limit, func() error { return s.play((*base.URL)(u)) }); err != nil {
		s.client.Close()
		return nil, err
	}
	go func() {
		s.why = s.client.Wait()
		close(s.failed)
	}()
	return s, nil
}

// errNoAnswer is a server that did not say in time that it plays.
var errNoAnswer = errors.New("no answer")

// within runs do for at most limit and as long as ctx lasts. The client alone
// would wait for a TLS handshake for ever.
func (s *stream) within(ctx context.Context, limit time.Duration, do func() error) error {
	timed, cancel := context.WithTimeoutCause(ctx, limit, errNoAnswer)
	defer cancel()
	stop := context.AfterFunc(timed, s.line.cut)
	err := do()
	if !stop() || timed.Err() != nil {
		return context.Cause(timed)
	}
	return err
}

// line is the client's TCP connection.
type line struct {
	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn = conn; l.closed {
		conn.Close()
	}
	return conn, nil
}

// cut breaks the connection, or the one that will be made.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		l.conn.Close()
	}
}

// play finds the video and asks for it.
func (s *stream) play(u *base.URL) error {
	session, _, err := s.client.Describe(u)
	if s.server.refusal != nil {
		return s.server.refusal
	}
	if err != nil {
		return err
	}
	media := session.Medias[0] // the description is cut down to it
	if _, err := s.client.Setup(session.BaseURL, media, 0, 0); err != nil {
		return err
	}
	packets, keys := new(assembly), s.server.played.maker
	s.client.OnPacketRTPAny(func(_ *description.Media, f format.Format, p *rtp.Packet) {
		if f.PayloadType() != s.server.played.payload {
			return
		}
		s.packets.Add(1)
		if ended, ok := packets.add(p, time.Now()); ok {
			s.put(keys, &ended)
		}
	})
	_, err = s.client.Play(nil)
	return err
}

// put makes a keyframe the newest. It never waits: one that nobody took is lost.
func (s *stream) put(keys maker, p *picture) {
	data, found := keys.add(s.spare[:0], p)
	s.spare = data
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[found]++
	if h, ok := keys.(*keyframes); ok {
		s.recovers = h.recovers
	}
	switch found {
	case lost, orphaned:
		s.missed++
		return
	case passed:
		return
	}
	k := s.newest
	s.spare, k.data = k.data, data
	k.at, k.fresh = p.at, found == recovery
	k.count += 1 + s.missed
	k.lost += s.missed
	s.missed = 0
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// wait returns the newest keyframe as soon as there is one, valid until the next
// call.
func (s *stream) wait(ctx context.Context, limit time.Duration) (*keyframe, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	before, seen := s.packets.Load(), s.verdicts()
	for {
		select {
		case <-s.ready:
			if k := s.take(); k != nil {
				return k, nil
			}
		case <-s.failed:
			return nil, s.why
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
			if s.packets.Load() == before {
				return nil, errNoPacket
			}
			return nil, s.none(limit, seen)
		}
	}
}

// verdicts are the pictures that came until now, by verdict.
func (s *stream) verdicts() [verdicts]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// none says why there was no keyframe for so long, since the pictures seen before.
func (s *stream) none(limit time.Duration, before [verdicts]uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.seen[lost] > before[lost]:
		return fmt.Errorf("no whole keyframe in %v: packets of %d are missing", limit, s.seen[lost]-before[lost])
	case s.seen[orphaned] > before[orphaned]:
		return fmt.Errorf("no keyframe in %v whose parameter sets the camera sends", limit)
	case s.recovers:
		return errors.New("no IDR keyframes: it renews its pictures bit by bit: switch intra refresh off in the camera")
	}
	return fmt.Errorf("no keyframe in %v: set a longer timeout, or keyframes closer together in the camera", limit)
}

// given is how many keyframes were given up since the last that was complete.
func (s *stream) given() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missed
}

// take is nil where the newest was taken already: it came between another's
// announcement and its taking.
func (s *stream) take() *keyframe {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest.count == 0 {
		return nil
	}
	s.newest, s.taken = s.taken, s.newest
	s.newest.count, s.newest.lost = 0, 0
	return s.taken
}

// close hangs up and waits for the client's goroutines.
func (s *stream) close() {
	s.client.Close()
	<-s.failed
}
