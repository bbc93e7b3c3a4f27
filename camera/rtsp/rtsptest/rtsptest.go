// Package rtsptest is an RTSP server for tests: it plays a film, may be killed and
// started again, wants a password or says nothing.
package rtsptest

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/pion/rtp"

	"dynvit/camera/cameratest"
)

// Server plays a film over and over on the path /cam. Set its
// fields before Start; after Stop it may be started again, on the same port.
type Server struct {
	User, Password string                               // "": everybody may look
	Rate           float64                              // access units a second
	Lose           func(unit [][]byte, packet int) bool // whether a packet of an access unit is lost; nil: none is
	Mute           bool                                 // it answers and sends no packet, as it looks where the network swallows them
	H265           bool                                 // what the film's units are
	TLS            *tls.Certificate                     // nil: without

	jpeg bool // the units are pictures

	units   [][][]byte // [access units][NAL units]
	port    cameratest.Port
	server  *gortsplib.Server
	stream  *gortsplib.ServerStream
	ready   chan struct{} // closed once stream can be handed out
	media   *description.Media
	stop    chan struct{}
	playing sync.WaitGroup
}

// New takes a film's video as it is, H.264 or H.265, with ffmpeg's help.
func New(t testing.TB, ffmpeg, film string, h265 bool) *Server {
	t.Helper()
	raw, filter := "h264", "h264_mp4toannexb,h264_metadata=aud=insert"
	if h265 {
		raw, filter = "hevc", "hevc_mp4toannexb,hevc_metadata=aud=insert"
	}
	var said bytes.Buffer
	c := exec.Command(ffmpeg, "-nostdin", "-loglevel", "error", "-i", film, "-an", "-c", "copy", "-bsf:v", filter, "-f", raw, "pipe:1")
	c.Stderr = &said
	data, err := c.Output()
	if err != nil {
		t.Fatalf("ffmpeg %s: %v: %s", film, err, said.String())
	}
	s := &Server{Rate: 25, H265: h265, units: accessUnits(data, h265), port: cameratest.HoldPort(t)}
	if len(s.units) == 0 {
		t.Fatalf("no access units in %s", film)
	}
	return s
}

// NewJPEG plays baseline pictures, as M-JPEG.
func NewJPEG(t testing.TB, pictures ...[]byte) *Server {
	s := &Server{Rate: 25, jpeg: true, port: cameratest.HoldPort(t)}
	for _, picture := range pictures {
		s.units = append(s.units, [][]byte{picture})
	}
	return s
}

// accessUnits cuts a stream in Annex B's form at its delimiters, and leaves them
// out.
func accessUnits(data []byte, h265 bool) [][][]byte {
	var units [][][]byte
	for piece := range bytes.SplitSeq(data, []byte{0, 0, 1}) {
		nal := bytes.TrimRight(piece, "\x00")
		if len(nal) == 0 {
			continue
		}
		delimiter := nal[0]&31 == 9
		if h265 {
			delimiter = nal[0]>>1&63 == 35
		}
		if delimiter {
			units = append(units, nil)
		} else if len(units) > 0 {
			units[len(units)-1] = append(units[len(units)-1], nal)
		}
	}
	return units
}

// Units are the film's access units, each a list of NAL units.
func (s *Server) Units() [][][]byte { return s.units }

// Start listens on a loopback port, the same each time, and begins to play.
func (s *Server) Start() error {
	var video format.Format = &format.H264{PayloadTyp: 96, PacketizationMode: 1}
	switch {
	case s.jpeg:
		video = new(format.MJPEG)
	case s.H265:
		video = &format.H265{PayloadTyp: 96}
	}
	encode, err := packer(video)
	if err != nil {
		return err
	}
	s.media = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{video}}
	s.ready = make(chan struct{})
	udp, err := newUDPPair()
	if err != nil {
		return err
	}
	s.server = &gortsplib.Server{
		Handler: handler{s}, RTSPAddress: s.port.Address, UDPRTPAddress: udp[0].LocalAddr().String(), UDPRTCPAddress: udp[1].LocalAddr().String(),
		Listen:       func(string, string) (net.Listener, error) { return s.port.Listen() },
		ListenPacket: udp.listen,
	}
	if s.TLS != nil {
		s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*s.TLS}}
	}
	if err := s.server.Start(); err != nil {
		udp.close()
		return err
	}
	s.stream = &gortsplib.ServerStream{Server: s.server, Desc: &description.Session{Medias: []*description.Media{s.media}}}
	err = s.stream.Initialize()
	close(s.ready)
	if err != nil {
		s.server.Close()
		return err
	}
	s.stop = make(chan struct{})
	if !s.Mute {
		s.playing.Go(func() { s.play(encode, s.stop) })
	}
	return nil
}

// Stop ends every connection at once.
func (s *Server) Stop() {
	close(s.stop)
	s.playing.Wait()
	s.stream.Close()
	s.server.Close()
}

// URL is where the film is, with user and password where they are wanted.
func (s *Server) URL() string { return s.As(s.User, s.Password) }

// As is the same for somebody else; "" gives no name.
func (s *Server) As(user, password string) string {
	login := ""
	if user != "" {
		login = user + ":" + password + "@"
	}
	scheme := "rtsp://"
	if s.TLS != nil {
		scheme = "rtsps://"
	}
	return scheme + login + s.port.Address + "/cam"
}

// play sends one access unit after another at the rate.
func (s *Server) play(encode func([][]byte) ([]*rtp.Packet, error), stop <-chan struct{}) {
	tick := time.NewTicker(time.Duration(float64(time.Second) / s.Rate))
	defer tick.Stop()
	for n := 0; ; n++ {
		unit := s.units[n%len(s.units)]
		packets, err := encode(unit)
		if err != nil {
			panic("rtsptest: " + err.Error()) // the units are whole
		}
		for i, p := range packets {
			if s.Lose != nil && s.Lose(unit, i) {
				continue
			}
			p.Timestamp = uint32(float64(n) * 90000 / s.Rate)
			s.stream.WritePacketRTP(s.media, p) // fails once nobody looks
		}
		select {
		case <-tick.C:
		case <-stop:
			return
		}
	}
}

func packer(f format.Format) (func([][]byte) ([]*rtp.Packet, error), error) {
	switch f := f.(type) {
	case *format.H264:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		return e.Encode, nil
	case *format.H265:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		return e.Encode, nil
	case *format.MJPEG:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		return func(unit [][]byte) ([]*rtp.Packet, error) { return e.Encode(unit[0]) }, nil
	}
	return nil, fmt.Errorf("rtsptest: format %T", f)
}

// udpPair are sockets on two ports in a row, the first one even, as RTP wants them.
type udpPair [2]net.PacketConn

// newUDPPair holds the ports from the moment that they are found.
func newUDPPair() (udpPair, error) {
	for range 100 {
		a, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return udpPair{}, err
		}
		port := a.LocalAddr().(*net.UDPAddr).Port
		b, err := net.ListenPacket("udp", fmt.Sprint("127.0.0.1:", port^1)) // the other of the pair
		if err != nil {
			a.Close()
			continue
		}
		if port%2 != 0 {
			a, b = b, a
		}
		return udpPair{a, b}, nil
	}
	return udpPair{}, fmt.Errorf("rtsptest: no two free UDP ports in a row")
}

// listen hands over the socket that is bound to an address.
func (p udpPair) listen(_, address string) (net.PacketConn, error) {
	for _, c := range p {
		if c.LocalAddr().String() == address {
			return c, nil
		}
	}
	return nil, fmt.Errorf("rtsptest: %s is none of the pair", address)
}

func (p udpPair) close() {
	for _, c := range p {
		c.Close()
	}
}

// handler answers requests.
type handler struct{ s *Server }

func (h handler) answer(c *gortsplib.ServerConn, r *base.Request, path string) (*base.Response, *gortsplib.ServerStream, error) {
	switch {
	case h.s.User != "" && !c.VerifyCredentials(r, h.s.User, h.s.Password):
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	case strings.Trim(path, "/") != "cam":
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	<-h.s.ready
	return &base.Response{StatusCode: base.StatusOK}, h.s.stream, nil
}

// OnDescribe is gortsplib's.
func (h handler) OnDescribe(c *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return h.answer(c.Conn, c.Request, c.Path)
}

// OnSetup is gortsplib's.
func (h handler) OnSetup(c *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return h.answer(c.Conn, c.Request, c.Path)
}

// OnPlay is gortsplib's.
func (h handler) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}
