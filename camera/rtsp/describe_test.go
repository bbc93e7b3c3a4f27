package rtsp

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/camera/rtsp/rtsptest"
	"dynvit/camera/trust"
	"dynvit/internal/needs"
)

const (
	sdpHead  = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=cam\r\nt=0 0\r\na=control:*\r\n"
	sdpVideo = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:v\r\n"
)

// TestChooseVideo: what is not played need not be understood, and what is said of
// the video is taken as far as it can be read.
func TestChooseVideo(t *testing.T) {
	b64 := func(unit []byte) string { return base64.StdEncoding.EncodeToString(unit) }
	sps, pps0, pps1 := unhex(parametersH264[0]), bytesOf("\x68\xce\x38\x80"), bytesOf("\x68\x5b\x80")
	k := kitOf(codecH265)
	for _, c := range []struct {
		name, body string
		sets       []int // how many of each kind are known; nil: none
		ffmpeg     string
		want       string // error
	}{
		{"alone", sdpHead + sdpVideo, nil, "h264", ""},
		{"broken audio", sdpHead + "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/x\r\na=fmtp:97 config=zz;mode=AAC-hbr\r\n" + sdpVideo, nil, "h264", ""},
		{"broken audio behind", sdpHead + sdpVideo + "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/48000/2\r\na=fmtp:97 config=;sizelength=no\r\n", nil, "h264", ""},
		{"broken audio of no payload type", sdpHead + "m=audio 0 RTP/AVP x\r\n" + sdpVideo, nil, "h264", ""},
		{"tied to what is left out", sdpHead + "a=group:FEC 1 2\r\n" + sdpVideo + "a=mid:1\r\nm=video 0 RTP/AVP 97\r\na=rtpmap:97 ulpfec/90000\r\na=mid:2\r\n", nil, "h264", ""},
		{"sets", sdpHead + sdpVideo + "a=fmtp:96 packetization-mode=1; sprop-parameter-sets=" + b64(sps) + "," + b64(pps0) + "," + b64(pps1) + "\r\n", []int{1, 2}, "h264", ""},
		{"sets of another", sdpHead + sdpVideo + "a=fmtp:97 sprop-parameter-sets=" + b64(sps) + "\r\n", nil, "h264", ""},
		{"sets without padding, with start codes", sdpHead + sdpVideo + "a=fmtp:96 sprop-parameter-sets=" + strings.TrimRight(b64(append([]byte{0, 0, 0, 1}, sps...)), "=") + "," + b64(pps0) + ",\r\n", []int{1, 1}, "h264", ""},
		{"broken sets", sdpHead + sdpVideo + "a=fmtp:96 sprop-parameter-sets=%%%," + b64(pps0) + "\r\n", []int{0, 1}, "h264", ""},
		{"H.265", sdpHead + "m=video 0 RTP/AVP 98\r\na=rtpmap:98 H265/90000\r\na=fmtp:98 sprop-vps=" + b64(k.sets[0]) + "; sprop-sps=" + b64(k.sets[1]) + "; sprop-pps=" + b64(k.sets[2]) + "\r\n", []int{1, 1, 1}, "hevc", ""},
		{"JPEG", sdpHead + "m=video 0 RTP/AVP 26\r\na=control:v\r\n", nil, "", ""},
		{"JPEG of another payload type", sdpHead + "m=video 0 RTP/AVP 97\r\na=rtpmap:97 jpeg/90000\r\n", nil, "", ""},
		{"the second", sdpHead + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n" + strings.ReplaceAll(sdpVideo, "96", "99"), nil, "h264", ""},
		{"back channel", sdpHead + strings.ReplaceAll(sdpVideo, "a=control:v", "a=sendonly"), nil, "", "it offers: want H264, H265 or JPEG"},
		{"another codec", sdpHead + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\nm=audio 0 RTP/AVP 0\r\n", nil, "", "it offers VP8 G711: want H264, H265 or JPEG"},
		{"nothing", sdpHead, nil, "", "it offers: want"},
		{"interleaved", sdpHead + sdpVideo + "a=fmtp:96 packetization-mode=2\r\n", nil, "", "interleaved"},
		{"broken video", sdpHead + "m=video 0 RTP/AVP x\r\n", nil, "", "its description of the video: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := chooseVideo([]byte(c.body))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %s", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var sets []int
			if keys, ok := v.maker.(*keyframes); ok && c.sets != nil {
				for _, kind := range keys.sets {
					sets = append(sets, len(kind))
				}
			}
			if v.ffmpeg != c.ffmpeg || fmt.Sprint(sets) != fmt.Sprint(c.sets) || bytes.Count(v.description, []byte("m=")) != 1 {
				t.Errorf("%s with sets %v of\n%s", v.ffmpeg, sets, v.description)
			}
		})
	}
}

// FuzzDescription: whatever a server describes, what is left of it is one medium.
func FuzzDescription(f *testing.F) {
	f.Add([]byte(sdpHead + sdpVideo))
	f.Add([]byte(sdpHead + "m=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 26\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := chooseVideo(body)
		if (v == nil) == (err == nil) {
			t.Fatalf("%v, %v", v, err)
		}
		if v != nil && (v.maker == nil || bytes.Count(v.description, []byte("\nm=")) > 1) {
			t.Errorf("%q", v.description)
		}
	})
}

// talker is an RTSP server that answers as it is told and notes what it is asked.
type talker struct {
	address string
	mu      sync.Mutex
	heard   []string // whole requests
}

func talk(t *testing.T, answer func(method, url string) string) *talker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &talker{address: l.Addr().String()}
	var running sync.WaitGroup
	t.Cleanup(func() { l.Close(); running.Wait() })
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { k.serve(conn, answer) })
		}
	})
	return k
}

func (k *talker) serve(conn net.Conn, answer func(method, url string) string) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		var request string
		for !strings.HasSuffix(request, "\r\n\r\n") {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			request += line
		}
		k.mu.Lock()
		k.heard = append(k.heard, request)
		k.mu.Unlock()
		words := strings.Fields(request)
		_, after, _ := strings.Cut(request, "CSeq: ")
		number, _, _ := strings.Cut(after, "\r\n")
		status, more, _ := strings.Cut(answer(words[0], words[1]), "\r\n")
		io.WriteString(conn, "RTSP/1.0 "+status+"\r\nCSeq: "+number+"\r\n"+more+"\r\n")
	}
}

// TestRedirects: neither a request nor user and password go to another host or
// port, and another path of the same server is asked, a few times.
func TestRedirects(t *testing.T) {
	cameratest.FFmpeg(t)
	elsewhere := talk(t, func(string, string) string { return "200 OK\r\nPublic: DESCRIBE\r\n" })
	port := strings.TrimPrefix(elsewhere.address, "127.0.0.1:")
	for _, c := range []struct{ name, to, want string }{
		{"another port", "rtsp://" + elsewhere.address + "/x?pwd=" + secret, "it redirects to rtsp://" + elsewhere.address + ", and another host or port is not asked"},
		{"another name", "rtsp://localhost:%PORT/x", "it redirects to rtsp://localhost:"},
		{"its user", "rtsp://me:" + secret + "@" + elsewhere.address + "/x", "another host or port is not asked"},
		{"another port over TLS", "rtsps://" + elsewhere.address + "/x", "another host or port is not asked"},
		{"another scheme", "http://127.0.0.1:" + port + "/x", "another host or port is not asked"},
		{"its default port", "rtsp://127.0.0.1/x", "another host or port is not asked"},
		{"no address", "/x", "it redirects to what is no address"},
		{"round and round", "rtsp://127.0.0.1:%PORT/live", "more than 4 redirects"},
		{"another path", "rtsp://127.0.0.1:%PORT/other", "404 Not Found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var here *talker
			here = talk(t, func(method, url string) string {
				switch {
				case method == "OPTIONS":
					return "200 OK\r\nPublic: DESCRIBE\r\n"
				case strings.HasSuffix(url, "/other"):
					return "404 Not Found\r\n"
				}
				return "302 Found\r\nLocation: " + strings.ReplaceAll(c.to, "%PORT", strings.TrimPrefix(here.address, "127.0.0.1:")) + "\r\n"
			})
			err := open(t, "rtsp://me:"+secret+"@"+here.address+"/live", camera.Options{}).Next(t.Context(), new(camera.Frame))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("%v, want %s", err, c.want)
			}
			elsewhere.mu.Lock()
			defer elsewhere.mu.Unlock()
			if len(elsewhere.heard) > 0 {
				t.Errorf("the other server was asked: %q", elsewhere.heard)
			}
		})
	}
}

// TestRTSPS: a certificate that the camera signed itself is refused with its
// fingerprint, and taken by that or as its own authority.
func TestRTSPS(t *testing.T) {
	pair := cameratest.Certificate(t, nil)
	s := serve(t, needs.Shared(t, "data", "video", persons), false, func(s *rtsptest.Server) { s.TLS = &pair })
	fingerprint := fmt.Sprintf("%x", sha256.Sum256(pair.Certificate[0]))
	next := func(by trust.Trust) error {
		return open(t, s.URL(), camera.Options{ShortSide: 64, Trust: by}).Next(t.Context(), new(camera.Frame))
	}
	if err := next(trust.Trust{}); err == nil || !strings.HasSuffix(err.Error(), "set fingerprint: "+fingerprint) {
		t.Errorf("refused with %v", err)
	}
	for _, by := range []trust.Trust{{Fingerprint: fingerprint}, {CAFile: cameratest.PEM(t, pair)}} {
		if err := next(by); err != nil {
			t.Errorf("%+v: %v", by, err)
		}
	}
	if err := next(trust.Trust{Fingerprint: strings.Repeat("00", 32)}); err == nil || !strings.Contains(err.Error(), fingerprint) {
		t.Errorf("another fingerprint: %v", err)
	}
}
