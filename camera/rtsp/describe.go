package rtsp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/sdp"

	"dynvit/camera/internal/address"
)

// maxRedirects is how often a server may name another path.
const maxRedirects = 4

// server is what a server may say before it plays, held to what we take: the
// client follows every redirect, with user and password, and reads every medium
// of a description. It changes answers before the client reads them.
type server struct {
	url       *url.URL // what was asked for
	redirects int
	refusal   error  // why an answer is not taken
	played    *video // the medium that a description was cut down to
}

// answered looks at an answer.
func (s *server) answered(res *base.Response) {
	if location := res.Header["Location"]; res.StatusCode/100 == 3 && len(location) > 0 {
		if s.refusal = s.redirected(location[0]); s.refusal != nil {
			delete(res.Header, "Location") // then it is no redirect
		}
		return
	}
	if kind := res.Header["Content-Type"]; len(kind) == 1 && strings.HasPrefix(kind[0], "application/sdp") {
		s.played, s.refusal = chooseVideo(res.Body)
		if s.refusal == nil {
			res.Body = s.played.description
		}
	}
}

func (s *server) redirected(location string) error {
	to, err := url.Parse(location)
	s.redirects++
	switch {
	case err != nil || to.Host == "":
		return errors.New("it redirects to what is no address")
	case !sameServer(s.url, to):
		return fmt.Errorf("it redirects to %.100s://%.300s, and another host or port is not asked: name it in the source if it is right", to.Scheme, to.Host)
	case s.redirects > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return nil
}

// sameServer reports whether an address is the same server's, over TLS if the
// first is or both ports are their schemes' own.
func sameServer(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	if from.Scheme == to.Scheme {
		return address.Port(from) == address.Port(to)
	}
	return from.Scheme == "rtsp" && to.Scheme == "rtsps" && address.Port(from) == "554" && address.Port(to) == "322"
}

// video is a medium that we can read.
type video struct {
	description []byte // SDP of it alone
	payload     uint8  // type of its packets
	maker       maker
	ffmpeg      string // name of the raw stream that maker makes; "": JPEG pictures
}

// chooseVideo is the first video of a description that can be read. What else is
// in it need not be understood.
func chooseVideo(body []byte) (*video, error) {
	head, media := sections(body)
	offered := ""
	var broken error
	for _, lines := range media {
		v, name, err := newVideo(head, lines)
		if v != nil {
			return v, nil
		}
		if err != nil && broken == nil {
			broken = err
		}
		offered += name
	}
	if broken != nil {
		return nil, broken
	}
	return nil, fmt.Errorf("it offers%.100s: want H264, H265 or JPEG", offered)
}

// sections cuts a description into the lines that hold for all of it, but for
// those that tie media together, and those of each medium.
func sections(body []byte) (head []string, media [][]string) {
	for line := range strings.Lines(string(body)) {
		line = strings.TrimRight(line, "\r\n")
		switch last := len(media) - 1; {
		case strings.HasPrefix(line, "m="):
			media = append(media, []string{line})
		case last >= 0:
			media[last] = append(media[last], line)
		case !strings.HasPrefix(line, "a=group:"):
			head = append(head, line)
		}
	}
	return head, media
}

// newVideo reads one medium. Its parameters are read here, forgivingly: what they
// say comes with the pictures, too. name is what it offers, an error that of a
// video.
func newVideo(head, lines []string) (v *video, name string, err error) {
	alone := bytes.NewBufferString(strings.Join(head, "\r\n") + "\r\n")
	var parameters []string
	for _, line := range lines {
		if after, ok := strings.CutPrefix(line, "a=fmtp:"); ok {
			parameters = append(parameters, after)
		} else {
			alone.WriteString(line + "\r\n")
		}
	}
	var text sdp.SessionDescription
	var session description.Session
	if err = text.Unmarshal(alone.Bytes()); err == nil {
		err = session.Unmarshal(&text)
	}
	if err != nil {
		if strings.HasPrefix(lines[0], "m=video") {
			return nil, "", fmt.Errorf("its description of the video: %w", err)
		}
		return nil, "", nil
	}
	if session.Medias[0].IsBackChannel {
		return nil, "", nil
	}
	for _, f := range session.Medias[0].Formats {
		v := &video{description: alone.Bytes(), payload: f.PayloadType()}
		p := newParameters(parameters, f.PayloadType())
		switch f.(type) {
		case *format.H264:
			v.maker, v.ffmpeg = newKeyframes(codecH264, p.sets), codecH264.ffmpeg
		case *format.H265:
			v.maker, v.ffmpeg = newKeyframes(codecH265, p.sets), codecH265.ffmpeg
		default:
			if !strings.EqualFold(f.RTPMap(), "JPEG/90000") { // M-JPEG's own payload type, or another
				name += " " + f.Codec()
				continue
			}
			v.maker = new(pictures)
		}
		if p.interleaved {
			return nil, "", errors.New("its packets are interleaved, which is not read")
		}
		return v, "", nil
	}
	return nil, name, nil
}

// parameters are what a description says of a format.
type parameters struct {
	sets        [][]byte
	interleaved bool // packets are not in the order of what they carry
}

// newParameters reads those of a payload type (RFC 6184, 8.1; RFC 7798, 7.1).
func newParameters(lines []string, payload uint8) (p parameters) {
	for _, line := range lines {
		number, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if number != strconv.Itoa(int(payload)) {
			continue
		}
		for field := range strings.SplitSeq(text, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(field), "=")
			switch key = strings.ToLower(key); key {
			case "sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps":
				p.sets = append(p.sets, decodeSets(value)...)
			case "packetization-mode":
				p.interleaved = p.interleaved || value == "2"
			case "sprop-max-don-diff":
				p.interleaved = p.interleaved || strings.Trim(value, "0") != ""
			}
		}
	}
	return p
}

// decodeSets reads parameter sets, of which cameras write some with a start code
// and some without padding. What cannot be read is left out.
func decodeSets(list string) (sets [][]byte) {
	for text := range strings.SplitSeq(list, ",") {
		if unit, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "=")); err == nil {
			sets = append(sets, unit)
		}
	}
	return split(sets)
}
