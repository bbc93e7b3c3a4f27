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
)

// connectTimeout bounds how long the server's machine may take to answer.
const connectTimeout = 5 * time.Second

// errNoPacket is a stream that began to play and sent nothing.
var errNoPacket = errors.New("no packet")

// keyframe is one in Annex B's form.
type keyframe struct {
	data  []byte
	at    time.Time // when the last of it came
	count uint64    // keyframes that it stands for: itself and those that it replaced
}

// stream is a connection to an RTSP server that plays. Its client's goroutines put
// keyframes in; wait takes the newest out.
type stream struct {
	client  *gortsplib.Client
	line    line
	codec   *codec
	failed  chan struct{} // closed when the connection is over
	why     error         // of that; to be read after failed
	packets atomic.Uint64

	ready chan struct{} // holds one: newest was set
	mu    sync.Mutex
	// They change places: one is filled, one is looked at.
	newest, taken *keyframe
	spare         []byte // what the next keyframe is collected in; the client's alone
}

// connect begins to play the first video of an address, within limit and as long
// as ctx lasts.
func connect(ctx context.Context, u *url.URL, transport string, limit time.Duration) (*stream, error) {
	protocol := gortsplib.ProtocolTCP
	if transport == "udp" {
		protocol = gortsplib.ProtocolUDP
	}
	s := &stream{
		client: &gortsplib.Client{
			Scheme: u.Scheme, Host: u.Host, Protocol: &protocol,
			ReadTimeout: limit, WriteTimeout: min(limit, connectTimeout), UserAgent: "dynvit",
			// Lost packets cost a keyframe at most, and silence must not fill the log.
			OnPacketsLost:     func(uint64) {},
			OnDecodeError:     func(error) {},
			OnTransportSwitch: func(error) {},
		},
		failed: make(chan struct{}), ready: make(chan struct{}, 1),
		newest: new(keyframe), taken: new(keyframe),
	}
	s.client.DialContext = s.line.dial
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
	if err != nil {
		return err
	}
	media, video, err := s.choose(session)
	if err != nil {
		return err
	}
	receive, err := s.receiver(video)
	if err != nil {
		return err
	}
	if _, err := s.client.Setup(session.BaseURL, media, 0, 0); err != nil {
		return err
	}
	s.client.OnPacketRTP(media, video, receive)
	_, err = s.client.Play(nil)
	return err
}

// choose is the first video that we can decode.
func (s *stream) choose(session *description.Session) (*description.Media, format.Format, error) {
	offered := ""
	for _, media := range session.Medias {
		for _, f := range media.Formats {
			switch f.(type) {
			case *format.H264:
				s.codec = codecH264
			case *format.H265:
				s.codec = codecH265
			default:
				offered += " " + f.Codec()
				continue
			}
			return media, f, nil
		}
	}
	return nil, nil, fmt.Errorf("it offers%.100s: want H264 or H265", offered)
}

// receiver makes access units of packets, and keeps the keyframes.
func (s *stream) receiver(video format.Format) (func(*rtp.Packet), error) {
	var decode func(*rtp.Packet) ([][]byte, error)
	switch f := video.(type) {
	case *format.H264:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		decode = d.Decode
	case *format.H265:
		d, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		decode = d.Decode
	}
	keys := newKeyframes(s.codec, parametersOf(video))
	return func(p *rtp.Packet) {
		s.packets.Add(1)
		au, err := decode(p)
		if err != nil {
			return // more is to come, or some was lost
		}
		s.put(keys, au)
	}, nil
}

// put makes a keyframe the newest. It never waits: one that nobody took is lost.
func (s *stream) put(keys *keyframes, au [][]byte) {
	data, ok := keys.add(s.spare[:0], au)
	s.spare = data
	if !ok {
		return
	}
	s.mu.Lock()
	k := s.newest
	s.spare, k.data = k.data, data
	k.at = time.Now()
	k.count++
	s.mu.Unlock()
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
	before := s.packets.Load()
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
			return nil, fmt.Errorf("no keyframe in %v: set a longer timeout, or keyframes closer together in the camera", limit)
		}
	}
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
	s.newest.count = 0
	return s.taken
}

// close hangs up and waits for the client's goroutines.
func (s *stream) close() {
	s.client.Close()
	<-s.failed
}
