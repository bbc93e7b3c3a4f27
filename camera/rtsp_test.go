package camera_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dynvit/camera"
	"dynvit/camera/cameratest"
)

// realFilm is one of the shared films, and ffmpeg.
func realFilm(t *testing.T, name string) (ffmpeg, path string) {
	t.Helper()
	path = "../../shared/data/video/" + name
	if _, err := os.Stat(path); err != nil {
		need(t, path)
	}
	return ffmpegPath(t), path
}

func ffmpegPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		need(t, "ffmpeg: install the ffmpeg package")
	}
	return path
}

// rtsp starts a server that plays one of the shared films, fast.
func rtsp(t *testing.T, name string, change func(*cameratest.RTSP)) *cameratest.RTSP {
	t.Helper()
	ffmpeg, path := realFilm(t, name)
	return serveFilm(t, ffmpeg, path, false, change)
}

func serveFilm(t *testing.T, ffmpeg, path string, h265 bool, change func(*cameratest.RTSP)) *cameratest.RTSP {
	t.Helper()
	s, err := cameratest.NewRTSP(ffmpeg, path, h265)
	if err != nil {
		t.Fatal(err)
	}
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

const persons = "one-by-one-person-detection.mp4" // a keyframe in ten, with B-frames

func TestRTSPConforms(t *testing.T) {
	s := rtsp(t, persons, nil)
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
		ffmpeg, path := realFilm(t, name)
		want := stillsOf(t, ffmpeg, path)
		s := rtsp(t, name, func(s *cameratest.RTSP) { s.Rate = 400 })
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
func stillsOf(t *testing.T, ffmpeg, path string) [][]byte {
	t.Helper()
	out, err := exec.Command(ffmpeg, "-nostdin", "-loglevel", "error", "-skip_frame", "nokey", "-i", path,
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

// TestRTSPIsPrompt: a keyframe is handed over as soon as it is decoded, also where
// the stream would have a decoder wait for more.
func TestRTSPIsPrompt(t *testing.T) {
	s := rtsp(t, persons, func(s *cameratest.RTSP) { s.Rate = 20 }) // two keyframes a second
	source := open(t, s.URL(), camera.Options{ShortSide: 64})
	var f camera.Frame
	for i := range 4 {
		if err := source.Next(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		if age := time.Since(f.Captured); i > 0 && age > 400*time.Millisecond {
			t.Errorf("frame %d is %v old", f.Seq, age)
		}
	}
}

// TestRTSPH265: from a film that ffmpeg makes, where it can.
func TestRTSPH265(t *testing.T) {
	ffmpeg := ffmpegPath(t)
	if out, err := exec.Command(ffmpeg, "-hide_banner", "-encoders").Output(); err != nil || !bytes.Contains(out, []byte("libx265")) {
		need(t, "ffmpeg with libx265")
	}
	path := film(t, "a.mp4", "testsrc=size=320x240:rate=10:duration=4", "-c:v", "libx265", "-x265-params", "keyint=5:bframes=3:log-level=error")
	want := stillsOf(t, ffmpeg, path)
	// A keyframe in half a second: held back for those behind, each would be 1.5 s old.
	s := serveFilm(t, ffmpeg, path, true, func(s *cameratest.RTSP) { s.Rate = 10 })
	source := open(t, s.URL(), camera.Options{ShortSide: 128})
	var f camera.Frame
	for i := range 4 {
		if err := source.Next(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		if n, age := nearest(want, f.Data), time.Since(f.Captured); n > 1 || i > 0 && age > time.Second {
			t.Errorf("frame %d differs from every keyframe by %.1f levels at least, and is %v old", f.Seq, n, age)
		}
	}
}

const secret = "s3cr3t"

// TestRTSPErrors: one line that names the camera, says what to do, and shows no
// secret.
func TestRTSPErrors(t *testing.T) {
	s := rtsp(t, persons, func(s *cameratest.RTSP) { s.User, s.Password = "me", secret })
	blocked := rtsp(t, persons, func(s *cameratest.RTSP) { s.Mute = true })
	host := strings.TrimPrefix(s.As("", ""), "rtsp://")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, c := range []struct{ name, uri, want string }{
		{"no credentials", s.As("", ""), "rtsp://" + host + ": 401 Unauthorized: want user:password@ before the host"},
		{"wrong credentials", s.As("me", secret+"x"), "rtsp://***@" + host + ": 401 Unauthorized: wrong user or password"},
		{"no such path", strings.Replace(s.URL(), "/cam", "/other?pwd="+secret, 1), "/other?pwd=***: 404 Not Found: the camera has no such path"},
		{"refused", "rtsp://me:" + secret + "@" + closed.Addr().String() + "/cam", "connection refused"},
		{"udp blocked", blocked.URL() + "#transport=udp", "no packet over udp in 1.5s: is UDP blocked on the way? leave #transport=udp out"},
		{"tcp silent", blocked.URL(), "no packet over tcp in 1.5s"},
		{"no tls", strings.Replace(s.URL(), "rtsp:", "rtsps:", 1), ": does the camera speak TLS?"}, // it may close the connection, too
	} {
		t.Run(c.name, func(t *testing.T) {
			err := open(t, c.uri, camera.Options{Stall: 1500 * time.Millisecond}).Next(t.Context(), new(camera.Frame))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestRTSPMute: a server that takes the connection and says nothing.
func TestRTSPMute(t *testing.T) {
	ffmpegPath(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start := time.Now()
	err = open(t, fmt.Sprintf("rtsp://%v/cam", l.Addr()), camera.Options{Stall: 300 * time.Millisecond}).Next(t.Context(), new(camera.Frame))
	if err == nil || !strings.Contains(err.Error(), "no answer in 300ms") || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestRTSPWithoutTLS: what servers that don't speak it do with TLS's hello.
func TestRTSPWithoutTLS(t *testing.T) {
	ffmpegPath(t)
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
	s := rtsp(t, persons, func(s *cameratest.RTSP) { s.User, s.Password = "me", secret })
	source := open(t, s.URL(), camera.Options{ShortSide: 64, Stall: 5 * time.Second})
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
	s := rtsp(t, persons, func(s *cameratest.RTSP) { s.User, s.Password = "me", secret })
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
	s := rtsp(t, persons, nil)
	daemon := exec.Command(os.Args[0])
	daemon.Env = append(os.Environ(), orphanEnv+"="+s.URL())
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("read: <nil>\n"))
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "read: <nil>\n" {
		t.Errorf("the daemon says %q, %v", line, err)
	}
	children := childrenOf(t, daemon.Process.Pid)
	if len(children) != 1 {
		t.Errorf("children %v", children)
	}
	var held []int // a process's end, as a file
	for _, pid := range children {
		var n int
		fmt.Sscan(pid, &n)
		held = append(held, pidfd(t, n))
	}
	daemon.Process.Signal(syscall.SIGKILL)
	daemon.Wait()
	for _, fd := range held {
		mustEnd(t, fd)
	}
}
