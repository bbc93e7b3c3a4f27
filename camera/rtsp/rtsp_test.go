package rtsp

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/camera/rtsp/rtsptest"
	"dynvit/internal/needs"
)

func TestMain(m *testing.M) { cameratest.Main(m, Scheme()) }

// plenty is time that nothing here takes, on a box that has other work.
const plenty = time.Minute

// open opens a source that the test closes. Where no stall is set there is plenty
// of time.
func open(t testing.TB, uri string, o camera.Options) camera.Source {
	t.Helper()
	if o.Stall == 0 {
		o.Stall = plenty
	}
	s := cameratest.Open(t, Scheme(), uri, o)
	s.(*source).decodeLimit = plenty
	return s
}

// serve starts a server that plays a film, fast.
func serve(t *testing.T, film string, h265 bool, change func(*rtsptest.Server)) *rtsptest.Server {
	t.Helper()
	s := rtsptest.New(t, cameratest.FFmpeg(t), film, h265)
	s.Rate = 100
	if change != nil {
		change(s)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	return s
}

func TestParse(t *testing.T) {
	for options, want := range map[string]string{"": "tcp", "transport=tcp": "tcp", "transport=udp": "udp"} {
		got, err := parse("rtsps", "//me:pass@cam:554/live", options)
		if err != nil {
			t.Fatal(err)
		}
		u := got.(*target)
		if password, _ := u.url.User.Password(); u.transport != want || u.url.Host != "cam:554" || u.url.Scheme != "rtsps" || password != "pass" {
			t.Errorf("%s: got %+v", options, u)
		}
	}
}

const persons = "one-by-one-person-detection.mp4" // a keyframe in ten, with B-frames

func TestRTSPConforms(t *testing.T) {
	s := serve(t, needs.Shared(t, "data", "video", persons), false, nil)
	for _, transport := range []string{"tcp", "udp"} {
		cameratest.Conform(t, func(t *testing.T) camera.Source {
			return open(t, s.URL()+"#transport="+transport, camera.Options{ShortSide: 64})
		})
	}
}

// TestRTSPPictures: every keyframe comes at once, scaled, though the stream has
// B-frames, for which a decoder holds frames back; it is the film's own.
func TestRTSPPictures(t *testing.T) {
	for _, name := range []string{persons, "bottle-detection.mp4", "car-detection.mp4"} {
		path := needs.Shared(t, "data", "video", name)
		want := stillsOf(t, path)
		s := serve(t, path, false, func(s *rtsptest.Server) { s.Rate = 400 })
		source := open(t, s.URL(), camera.Options{ShortSide: 128})
		var f camera.Frame
		for range 3 {
			if err := source.Next(t.Context(), &f); err != nil {
				t.Fatal(err)
			}
			if f.Format != camera.RGB24 || f.Height != 128 || len(f.Data) != 3*f.Width*f.Height {
				t.Fatalf("%s: %v %d×%d", name, f.Format, f.Width, f.Height)
			}
			// The wait for the decoder, and nothing else: it would be a keyframe's
			// distance, 25 ms to 600 ms, if it were held back.
			if n := nearest(want, f.Data); n > 1 {
				t.Errorf("%s: frame %d differs from every keyframe, by %.1f levels at least", name, f.Seq, n)
			}
		}
	}
}

// stillsOf are a film's keyframes as ffmpeg decodes them.
func stillsOf(t *testing.T, path string) [][]byte {
	t.Helper()
	out, err := exec.Command(cameratest.FFmpeg(t), "-nostdin", "-loglevel", "error", "-skip_frame", "nokey", "-i", path,
		"-vf", "scale=-1:128", "-vsync", "passthrough", "-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "pipe:1").Output()
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for piece := range bytes.SplitSeq(out, []byte("P6\n")) {
		if parts := bytes.SplitN(piece, []byte("\n255\n"), 2); len(parts) == 2 {
			list = append(list, parts[1])
		}
	}
	return list
}

// nearest is the mean difference from the most similar of a list, in levels.
func nearest(list [][]byte, data []byte) float64 {
	least := 255.0
	for _, other := range list {
		sum := 0
		for i := range min(len(other), len(data)) {
			d := int(other[i]) - int(data[i])
			sum += max(d, -d)
		}
		if len(other) == len(data) {
			least = min(least, float64(sum)/float64(len(data)))
		}
	}
	return least
}

// h265Film is one that ffmpeg makes, where it can.
func h265Film(t *testing.T) string {
	t.Helper()
	needEncoder(t, "libx265")
	return cameratest.Film(t, "a.mp4", "testsrc=size=320x240:rate=10:duration=4", "-c:v", "libx265", "-x265-params", "keyint=5:bframes=3:log-level=error")
}

func TestRTSPH265(t *testing.T) {
	path := h265Film(t)
	want := stillsOf(t, path)
	s := serve(t, path, true, func(s *rtsptest.Server) { s.Rate = 10 })
	source := open(t, s.URL(), camera.Options{ShortSide: 128})
	var f camera.Frame
	for range 4 {
		if err := source.Next(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		if n := nearest(want, f.Data); n > 1 {
			t.Errorf("frame %d differs from every keyframe, by %.1f levels at least", f.Seq, n)
		}
	}
}

// TestDecoderIsPrompt: a keyframe's picture comes out though nothing ever follows
// it into the decoder, also where the stream says that it must wait for more.
func TestDecoderIsPrompt(t *testing.T) {
	for _, c := range []struct {
		film  string
		h265  bool
		codec *codec
	}{
		{needs.Shared(t, "data", "video", persons), false, codecH264}, {needs.Shared(t, "data", "video", "bottle-detection.mp4"), false, codecH264},
		{needs.Shared(t, "data", "video", "car-detection.mp4"), false, codecH264}, {h265Film(t), true, codecH265},
	} {
		want := stillsOf(t, c.film)
		keys := newKeyframes(c.codec, nil)
		var keyframe []byte
		for _, au := range rtsptest.New(t, cameratest.FFmpeg(t), c.film, c.h265).Units() {
			if data, found := keys.add(nil, &picture{payloads: au}); found == complete {
				keyframe = data
				break
			}
		}
		d := newDecoder(cameratest.FFmpeg(t), c.codec.ffmpeg, camera.Options{ShortSide: 128}, plenty)
		var f camera.Frame
		if err := d.decode(t.Context(), keyframe, &f); err != nil {
			t.Errorf("%s: %v", c.film, err)
		} else if n := nearest(want[:1], f.Data); n > 1 {
			t.Errorf("%s: differs from the film's first keyframe by %.1f levels", c.film, n)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOpenGOP: of streams whose only IDR is the first, every picture that needs no
// other is shown, alone and at once, also where the stream begins anew.
func TestOpenGOP(t *testing.T) {
	for _, c := range []struct {
		name, encoder, parameters string
		codec                     *codec
	}{
		{"H.264 with B-frames", "libx264", "open-gop=1:keyint=10:min-keyint=10:scenecut=0:bframes=2", codecH264},
		{"H.264 in slices", "libx264", "open-gop=1:keyint=10:min-keyint=10:scenecut=0:bframes=2:slices=4", codecH264},
		{"H.265 with CRA", "libx265", "open-gop=1:keyint=10:min-keyint=10:scenecut=0:bframes=2:log-level=error", codecH265},
		{"H.265 with CRA alone", "libx265", "open-gop=1:keyint=16:min-keyint=16:scenecut=0:bframes=0:log-level=error", codecH265},
	} {
		t.Run(c.name, func(t *testing.T) {
			needEncoder(t, c.encoder)
			film := cameratest.Film(t, "a.mp4", "testsrc=size=320x240:rate=10:duration=8", "-c:v", c.encoder, "-"+c.encoder[3:]+"-params", c.parameters, "-bf", "2")
			want := stillsOf(t, film)
			units := rtsptest.New(t, cameratest.FFmpeg(t), film, c.codec == codecH265).Units()
			keys := newKeyframes(c.codec, nil)
			d := newDecoder(cameratest.FFmpeg(t), c.codec.ffmpeg, camera.Options{ShortSide: 128}, plenty)
			defer func() { d.Close() }()
			var f camera.Frame
			shown := 0
			for range 3 {
				for _, au := range units[1:] { // joined behind the IDR
					data, found := keys.add(nil, &picture{payloads: append(sets(c.codec, units[0]), au...)})
					if found != complete && found != recovery {
						continue
					}
					shown++
					if found == recovery {
						d.Close()
						d = newDecoder(cameratest.FFmpeg(t), c.codec.ffmpeg, camera.Options{ShortSide: 128}, plenty)
					}
					if err := d.decode(t.Context(), data, &f); err != nil {
						t.Fatalf("keyframe %d: %v", shown, err)
					}
					if n := nearest(want[1+(shown-1)%(len(want)-1):][:1], f.Data); n > 1 {
						t.Errorf("keyframe %d differs from the film's by %.1f levels, from its nearest by %.1f", shown, n, nearest(want, f.Data))
					}
				}
			}
			if shown < 9 || shown != 3*(len(want)-1) {
				t.Errorf("%d keyframes shown of a film with %d", shown, len(want))
			}
		})
	}
}

// sets are the parameter sets of an access unit.
func sets(c *codec, au [][]byte) (list [][]byte) {
	for _, unit := range au {
		for _, kind := range c.sets {
			if c.kind(unit) == kind.kind {
				list = append(list, unit)
			}
		}
	}
	return list
}

// needEncoder skips the test where ffmpeg has it not.
func needEncoder(t *testing.T, name string) {
	t.Helper()
	if out, err := exec.Command(cameratest.FFmpeg(t), "-hide_banner", "-encoders").Output(); err != nil || !bytes.Contains(out, []byte(name)) {
		needs.Missing(t, "ffmpeg with "+name)
	}
}

const secret = "s3cr3t"

// TestRTSPErrors: one line that names the camera, says what to do, and shows no
// secret.
func TestRTSPErrors(t *testing.T) {
	s := serve(t, needs.Shared(t, "data", "video", persons), false, func(s *rtsptest.Server) { s.User, s.Password = "me", secret })
	blocked := serve(t, needs.Shared(t, "data", "video", persons), false, func(s *rtsptest.Server) { s.Mute = true })
	host := strings.TrimPrefix(s.As("", ""), "rtsp://")
	for _, c := range []struct{ name, uri, want string }{
		{"no credentials", s.As("", ""), "rtsp://" + host + ": 401 Unauthorized: want user:password@ before the host"},
		{"wrong credentials", s.As("me", secret+"x"), "rtsp://***@" + host + ": 401 Unauthorized: wrong user or password"},
		{"no such path", strings.Replace(s.URL(), "/cam", "/other?pwd="+secret, 1), "/other?pwd=***: 404 Not Found: the camera has no such path"},
		{"refused", "rtsp://me:" + secret + "@" + cameratest.HoldPort(t).Address + "/cam", "connection refused"},
		{"udp blocked", blocked.URL() + "#transport=udp", "no packet over udp in 4s: is UDP blocked on the way? leave #transport=udp out"},
		{"tcp silent", blocked.URL(), "no packet over tcp in 4s"},
		{"no tls", strings.Replace(s.URL(), "rtsp:", "rtsps:", 1), ": does the camera speak TLS?"}, // it may close the connection, too
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // some wait for the stall, in which the server must have answered
			err := open(t, c.uri, camera.Options{Stall: 4 * time.Second}).Next(t.Context(), new(camera.Frame))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestRTSPMute: a server that takes the connection and says nothing.
func TestRTSPMute(t *testing.T) {
	cameratest.FFmpeg(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = open(t, fmt.Sprintf("rtsp://%v/cam", l.Addr()), camera.Options{Stall: 300 * time.Millisecond}).Next(t.Context(), new(camera.Frame))
	if err == nil || !strings.Contains(err.Error(), "no answer in 300ms") {
		t.Errorf("got %v", err)
	}
}

// TestRTSPWithoutTLS: what servers that don't speak it do with TLS's hello.
func TestRTSPWithoutTLS(t *testing.T) {
	cameratest.FFmpeg(t)
	for _, c := range []struct {
		name   string
		stall  time.Duration
		answer string // before it closes the connection, which it does not where it says nothing
		want   string
	}{
		{"says nothing", 1500 * time.Millisecond, "", "no answer in 1.5s: does the camera speak TLS?"},
		{"closes", 10 * time.Second, "", "the server closed the connection: does the camera speak TLS?"},
		{"answers in plain", 10 * time.Second, "RTSP/1.0 400 Bad Request\r\n\r\n", "tls: first record does not look like a TLS handshake: does the camera speak TLS?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				conn.Read(make([]byte, 1<<16)) // all of it: closing would reset the connection, and the answer be lost
				if c.name == "says nothing" {
					<-t.Context().Done()
				}
				io.WriteString(conn, c.answer)
			}()
			err = open(t, fmt.Sprintf("rtsps://%v/cam", l.Addr()), camera.Options{Stall: c.stall}).Next(t.Context(), new(camera.Frame))
			if err == nil || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestRTSPComesBack: a server that is killed is an error, and one that is there
// again serves the next source.
func TestRTSPComesBack(t *testing.T) {
	s := serve(t, needs.Shared(t, "data", "video", persons), false, func(s *rtsptest.Server) { s.User, s.Password = "me", secret })
	source := open(t, s.URL(), camera.Options{ShortSide: 64})
	var f camera.Frame
	if err := source.Next(t.Context(), &f); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	var err error
	for err == nil { // what had come before is shown first
		err = source.Next(t.Context(), &f)
	}
	if !strings.HasPrefix(err.Error(), "rtsp://***@") || strings.Contains(err.Error(), secret) {
		t.Errorf("killed: %v", err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, s.URL(), camera.Options{ShortSide: 64}).Next(t.Context(), &f); err != nil {
		t.Errorf("started again: %v", err)
	}
}

// TestRTSPSecretIsNotOnCommandLines: of no child, while it reads.
func TestRTSPSecretIsNotOnCommandLines(t *testing.T) {
	s := serve(t, needs.Shared(t, "data", "video", persons), false, func(s *rtsptest.Server) { s.User, s.Password = "me", secret })
	if err := open(t, s.URL(), camera.Options{ShortSide: 64}).Next(t.Context(), new(camera.Frame)); err != nil {
		t.Fatal(err)
	}
	children := childrenOf(t, os.Getpid())
	if len(children) == 0 {
		t.Error("no decoder runs")
	}
	for _, pid := range children {
		for _, file := range []string{"cmdline", "environ"} {
			data, err := os.ReadFile(filepath.Join("/proc", pid, file))
			if err != nil || bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s of %s: %q, %v", file, pid, data, err)
			}
		}
	}
}

// childrenOf lists a process's children.
func childrenOf(t *testing.T, pid int) []string {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil || len(lists) == 0 {
		t.Skip("needs /proc with children lists")
	}
	var all []string
	for _, list := range lists {
		if data, err := os.ReadFile(list); err == nil { // else the thread has ended
			all = append(all, strings.Fields(string(data))...)
		}
	}
	return all
}

// TestRTSPDecoderDiesWithTheDaemon: kill -9 of the process leaves no ffmpeg.
func TestRTSPDecoderDiesWithTheDaemon(t *testing.T) {
	s := serve(t, needs.Shared(t, "data", "video", persons), false, nil)
	daemon := cameratest.StartKilled(t, s.URL())
	children := childrenOf(t, daemon.Pid)
	if len(children) != 1 {
		t.Errorf("children %v", children)
	}
	var held []int // a process's end, as a file
	for _, pid := range children {
		var n int
		fmt.Sscan(pid, &n)
		held = append(held, pidfd(t, n))
	}
	if err := daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, fd := range held {
		mustEnd(t, fd)
	}
}
