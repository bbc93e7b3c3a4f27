package page

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/messages"
)

const token = "correct-horse-battery"

// daemon is a source that notes what it is asked.
type daemon struct {
	mu       sync.Mutex
	watched  []bool
	stats    int // how often they were asked for
	settings messages.Settings
}

func newDaemon() *daemon {
	return &daemon{settings: messages.Settings{Keep: 0.7, BudgetMS: 50, Cameras: map[string]messages.CameraSettings{"door": {Enabled: true}, "yard": {}}}}
}

func (d *daemon) Info() messages.Info { return messages.Info{Node: "box"} }
func (d *daemon) Health() any         { return map[string]bool{"alive": true} }

func (d *daemon) Settings() messages.Settings {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settings
}

func (d *daemon) Stats() messages.Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats++
	return messages.Stats{Uptime: float64(d.stats)}
}

func (d *daemon) Watch(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watched = append(d.watched, on)
}

func (d *daemon) Command(_ context.Context, name string, payload []byte) (messages.Outcome, bool) {
	if name != "keep" {
		return messages.Outcome{}, false
	}
	if string(payload) == "2" {
		why := "keep 2: want less"
		return messages.Outcome{Error: &why}, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	json.Unmarshal(payload, &d.settings.Keep)
	return messages.Outcome{OK: true, Value: d.settings.Keep}, true
}

func newPage(token string) (*Page, *daemon, *http.ServeMux) {
	d, mux := newDaemon(), http.NewServeMux()
	p := New(Options{Source: d, Token: token, Log: slog.New(slog.DiscardHandler)})
	p.Register(mux)
	return p, d, mux
}

// frame is one of a camera, as it looks while somebody watches: 2×2 patches and two
// stages, red.
func frame(camera string, seq uint64) *Frame {
	f := unwatched(camera, seq)
	f.Picture, f.Kept = bytes.Repeat([]byte{200, 0, 0}, 32*32), [][]int32{{0, 3}, {3}}
	return f
}

func unwatched(camera string, seq uint64) *Frame {
	r := &messages.Report{Camera: camera, Seq: seq, Captured: time.Now(), Label: "cat", Score: 0.5, Tokens: []int{5, 3, 2}, Frame: 20 * time.Millisecond}
	return &Frame{Report: r, Engine: messages.Engine{Backend: "ref"}, Patches: 4}
}

// asked is the answer to a request of this machine.
func asked(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	return askedWith(h, method, path, "", header...)
}

func askedWith(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:40000", "127.0.0.1:8484"
	for i := 0; i < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i] == "peer" {
			r.RemoteAddr = header[i+1]
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestNobodyWatches: without a viewer no picture is asked for, copied or encoded, and
// nothing is asked of the daemon; with one a picture is encoded when it is fetched, once;
// when the last one leaves all is let go.
func TestNobodyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d, mux := newPage(token)
		defer p.Close()
		for i := range 100 {
			p.Hear(unwatched("door", uint64(i+1)))
		}
		time.Sleep(time.Minute)
		if d.stats != 0 || d.watched != nil || p.encoded.Load() != 0 || p.version != 0 || p.cameras["door"].rgb != nil || p.cameras["door"].payload != nil {
			t.Errorf("stats asked for %d times, watched %v, %d encoded, version %d", d.stats, d.watched, p.encoded.Load(), p.version)
		}

		leave, left := p.watch(), p.watch()
		for i := range 50 {
			p.Hear(frame("door", uint64(101+i)))
		}
		if p.encoded.Load() != 0 {
			t.Errorf("%d pictures are encoded that nobody has fetched", p.encoded.Load())
		}
		for range 5 {
			if w := asked(mux, "GET", "/page/camera/door/picture"); w.Code != 200 || w.Header().Get("Dynvit-Seq") != "150" {
				t.Errorf("picture: %d %s", w.Code, w.Header().Get("Dynvit-Seq"))
			}
		}
		if p.encoded.Load() != 1 {
			t.Errorf("one picture is encoded %d times", p.encoded.Load())
		}
		leave()
		if p.cameras["door"].rgb == nil || len(d.watched) != 1 {
			t.Errorf("one of two viewers has left: watched %v", d.watched)
		}
		left()
		if c := p.cameras["door"]; c.rgb != nil || c.jpeg != nil || c.survived != nil || fmt.Sprint(d.watched) != "[true false]" {
			t.Errorf("all have left: watched %v, %d bytes of a picture are kept", d.watched, len(c.rgb))
		}
		synctest.Wait()
		before := d.stats
		time.Sleep(time.Minute)
		if d.stats != before {
			t.Errorf("stats are asked for %d times though nobody watches", d.stats-before)
		}
	})
}

// TestPicture: what is sent is the frame's picture with what became of its patches; it is
// kept by nobody, and can be had in parts.
func TestPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, mux := newPage(token)
		defer p.Close()
		defer p.watch()()
		const path = "/page/camera/door/picture"
		if w := asked(mux, "GET", path); w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "camera door: no frame in 5s") {
			t.Errorf("before there is one: %d %s", w.Code, w.Body)
		}
		go func() {
			time.Sleep(time.Second)
			p.Hear(frame("door", 7))
		}()
		w := asked(mux, "GET", path) // waits
		img, err := jpeg.Decode(bytes.NewReader(w.Body.Bytes()))
		if err != nil {
			t.Fatalf("%d %v", w.Code, err)
		}
		r, g, b, _ := img.At(16, 16).RGBA()
		if img.Bounds().Dx() != 32 || r>>8 < 190 || g>>8 > 20 || b>>8 > 20 {
			t.Errorf("%v, %d %d %d", img.Bounds(), r>>8, g>>8, b>>8)
		}
		whole := w.Body.String()
		for name, want := range map[string]string{
			"Content-Type": "image/jpeg", "Cache-Control": "no-store", "Dynvit-Seq": "7", "Dynvit-Survived": "1002", "Dynvit-Stages": "2",
			"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "Content-Length": fmt.Sprint(len(whole)),
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if w := asked(mux, "HEAD", path); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != fmt.Sprint(len(whole)) {
			t.Errorf("HEAD: %d, %d bytes of %s", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
		}
		tag := w.Header().Get("ETag")
		for _, c := range []struct {
			header []string
			code   int
			body   string
		}{
			{[]string{"Range", "bytes=2-5"}, 206, whole[2:6]}, {[]string{"Range", "bytes=-3"}, 206, whole[len(whole)-3:]},
			{[]string{"Range", "bytes=2-5", "If-Range", tag}, 206, whole[2:6]}, {[]string{"Range", "bytes=2-5", "If-Range", `"other"`}, 200, whole},
			{[]string{"If-None-Match", tag}, 304, ""},
		} {
			if w := asked(mux, "GET", path, c.header...); w.Code != c.code || w.Body.String() != c.body {
				t.Errorf("%q: %d, %d bytes", c.header, w.Code, w.Body.Len())
			}
		}
		if w := asked(mux, "GET", path, "Range", "bytes=99999-"); w.Code != 416 {
			t.Errorf("a range beyond the end: %d", w.Code)
		}
		for _, path := range []string{"/page/camera/none/picture", "/page/camera/..%2fdoor/picture"} {
			if w := asked(mux, "GET", path); w.Code != 404 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
	})
}

// TestGroups: where patches are merged the picture says into which each was, by which the page
// finds the groups of each stage, as wide as the last patch's number; where none are it says nothing.
func TestGroups(t *testing.T) {
	p, _, mux := newPage(token)
	defer p.Close()
	defer p.watch()()
	into := func(groups [][]int32, patches int) string {
		f := frame("door", 1)
		f.Groups, f.Patches = groups, patches
		p.Hear(f)
		w := asked(mux, "GET", "/page/camera/door/picture")
		if got := len(w.Header().Get("Dynvit-Survived")); w.Code != 200 || got != patches {
			t.Errorf("%d, %d patches, want %d", w.Code, got, patches)
		}
		return w.Header().Get("Dynvit-Into")
	}
	for want, groups := range map[string][][]int32{
		"3023": {{0, 0, -1, 3}, {3, 3, -1, 3}}, // 1 into 0 and that into 3, 2 dropped
		"0120": {{0, 1, 2, 0}, {-1, 1, 2, -1}}, // what was merged is dropped with its group
		"":     nil,
	} {
		if got := into(groups, 4); got != want {
			t.Errorf("groups %v: %q, want %q", groups, got, want)
		}
	}
	many := make([]int32, 100)
	for i := range many {
		many[i] = int32(i)
	}
	many[2] = 99
	if got := into([][]int32{many}, 100); len(got) != 200 || got[:8] != "00012r03" || got[198:] != "2r" {
		t.Errorf("100 patches: %q", got)
	}
}

// event is one of a stream.
type event struct{ name, data string }

// listen opens a stream over a pipe and hands on its events, until the page closes.
func listen(t *testing.T, mux http.Handler) (events chan event, leave func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	in, out := io.Pipe()
	r := httptest.NewRequest("GET", "/page/events", nil).WithContext(ctx)
	r.RemoteAddr = "127.0.0.1:40000"
	done := make(chan struct{})
	go func() {
		defer close(done)
		mux.ServeHTTP(&piped{head: http.Header{}, Writer: out}, r)
		out.Close()
	}()
	events = make(chan event, 1000)
	go func() {
		defer close(events)
		var e event
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if name, is := strings.CutPrefix(lines.Text(), "event: "); is {
				e.name = name
			} else if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
				e.data = data
				events <- e
			}
		}
	}()
	return events, func() { stop(); in.Close(); <-done }
}

// piped is a response that goes through a pipe.
type piped struct {
	head http.Header
	io.Writer
}

func (p *piped) Header() http.Header { return p.head }
func (p *piped) WriteHeader(int)     {}
func (p *piped) Flush()              {}

// drain takes what has come.
func drain(events chan event) (names []string, last map[string]string) {
	synctest.Wait()
	last = map[string]string{}
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return names, last
			}
			names, last[e.name] = append(names, e.name), e.data
		default:
			return names, last
		}
	}
}

// TestStream: a viewer is sent what holds, the last frame and the last hour, then what
// changes: at most ten times a second, the newest.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d, mux := newPage(token)
		defer p.Close()
		p.Hear(unwatched("door", 1))
		events, leave := listen(t, mux)
		time.Sleep(time.Second)
		names, last := drain(events)
		slices.Sort(names)
		if got := strings.Join(slices.Compact(names), " "); got != "frame health history info settings stats" {
			t.Errorf("first %s", got)
		}
		if !strings.Contains(last["frame"], `"seq":1,`) || !strings.Contains(last["history"], `"labels":["cat"]`) || !strings.Contains(last["info"], `"node":"box"`) {
			t.Errorf("first %v", last)
		}
		for i := range 200 { // in a second
			p.Hear(frame("door", uint64(2+i)))
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		frames := 0
		names, last = drain(events)
		for _, n := range names {
			if n == "frame" {
				frames++
			}
		}
		if frames < 9 || frames > 12 || !strings.Contains(last["frame"], `"seq":201,`) {
			t.Errorf("%d frames of 200, the last %s", frames, last["frame"])
		}
		time.Sleep(refreshEvery)
		drain(events)
		if w := askedWith(mux, "POST", "/page/cmd/keep", "0.4", "Authorization", "Bearer "+token); w.Code != 200 {
			t.Fatalf("keep: %d %s", w.Code, w.Body)
		}
		time.Sleep(150 * time.Millisecond)
		if _, last := drain(events); !strings.Contains(last["settings"], `"keep":0.4`) {
			t.Errorf("after a command: %v", last)
		}
		d.mu.Lock()
		d.settings.Cameras = map[string]messages.CameraSettings{"yard": {}}
		d.mu.Unlock()
		time.Sleep(2 * refreshEvery)
		if _, last := drain(events); strings.Contains(last["settings"], "door") || len(p.cameras) != 0 {
			t.Errorf("a camera that is gone: %v, %d known", last, len(p.cameras))
		}
		leave()
		if fmt.Sprint(d.watched) != "[true false]" {
			t.Errorf("watched %v", d.watched)
		}
	})
}

// TestFurtherModels: of several models that look at a camera the picture, the frame and the
// hour of the first are what those of one are; the others' are told by their names, until they
// are configured no more.
func TestFurtherModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d, mux := newPage(token)
		defer p.Close()
		d.settings.Cameras["door"] = messages.CameraSettings{Enabled: true, Models: []string{"garage", "weather"}}
		hear := func(seq uint64) {
			first, second := frame("door", seq), unwatched("door", seq)
			first.Report.Model, second.Report.Model = "garage", "weather"
			second.Report.Label, second.Further = "rain", true
			p.Hear(first)
			p.Hear(second)
		}
		hear(1)
		events, leave := listen(t, mux)
		defer leave()
		time.Sleep(time.Second)
		told := map[string]int{}
		for len(events) > 0 {
			switch e := <-events; {
			case e.name == "frame" && strings.Contains(e.data, `"label":"cat"`), e.name == "model" && strings.HasPrefix(e.data, `{"model":"weather","frame":{`) && strings.Contains(e.data, `"label":"rain"`),
				e.name == "history" && strings.HasPrefix(e.data, `{"camera":"door","every_s"`) && strings.Contains(e.data, `"labels":["cat"]`),
				e.name == "history" && strings.HasPrefix(e.data, `{"camera":"door","model":"weather",`) && strings.Contains(e.data, `"labels":["rain"]`):
				told[e.name]++
			case e.name == "frame" || e.name == "model" || e.name == "history":
				t.Errorf("%s %s", e.name, e.data)
			}
		}
		if told["frame"] != 1 || told["model"] != 1 || told["history"] < 2 {
			t.Errorf("told %v", told)
		}
		hear(2)
		time.Sleep(time.Second)
		if _, last := drain(events); !strings.Contains(last["model"], `"seq":2,`) || !strings.Contains(last["frame"], `"seq":2,`) {
			t.Errorf("then %v", last)
		}
		if w := asked(mux, "GET", "/page/camera/door/picture"); w.Code != 200 || w.Header().Get("Dynvit-Seq") != "2" {
			t.Errorf("picture: %d %s", w.Code, w.Header())
		}
		d.mu.Lock()
		d.settings.Cameras = map[string]messages.CameraSettings{"door": {Enabled: true, Models: []string{"garage", "parcel"}}}
		d.mu.Unlock()
		time.Sleep(2 * refreshEvery)
		p.mu.Lock()
		defer p.mu.Unlock()
		if c := p.cameras["door"]; c == nil || len(c.further) != 0 {
			t.Errorf("a model that is gone is still known: %+v", c)
		}
	})
}

// TestSlowViewer: one that takes nothing keeps nobody waiting, and is sent the newest
// when it takes something again.
func TestSlowViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, mux := newPage(token)
		defer p.Close()
		in, out := io.Pipe() // nobody reads
		r := httptest.NewRequest("GET", "/page/events", nil)
		r.RemoteAddr = "127.0.0.1:40000"
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			mux.ServeHTTP(&piped{head: http.Header{}, Writer: out}, r)
		}()
		synctest.Wait()
		start := time.Now()
		for i := range 10_000 {
			p.Hear(frame("door", uint64(1+i)))
		}
		if took := time.Since(start); took != 0 { // of the bubble's clock, which stands while anything works
			t.Errorf("10,000 frames waited for %v", took)
		}
		buf := make([]byte, 1<<20)
		in.Read(buf) // the batch that waited
		if n, _ := in.Read(buf); !bytes.Contains(buf[:n], []byte(`"seq":10000,`)) || bytes.Count(buf[:n], []byte("event: frame")) != 1 {
			t.Errorf("the next batch is %.300q", buf[:n])
		}
		go io.Copy(io.Discard, in)
		p.Close()
		<-ended
		in.Close()
	})
}

// TestManyStreams: there are so many, and one more is told to come again.
func TestManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, mux := newPage(token)
		var leave []func()
		for range mostStreams {
			_, l := listen(t, mux)
			leave = append(leave, l)
		}
		synctest.Wait()
		if w := asked(mux, "GET", "/page/events"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("one too many: %d", w.Code)
		}
		leave[0]()
		_, l := listen(t, mux)
		synctest.Wait()
		if w := asked(mux, "HEAD", "/page/events"); w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("HEAD: %d", w.Code)
		}
		p.Close() // ends all
		for _, l := range append(leave[1:], l) {
			l()
		}
	})
}

// forced is how often a collection was asked for.
func forced() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumForcedGC
}

// TestCollects: what viewers leave behind is collected while somebody watches, however short
// each of them stays, and nothing is where they leave little.
func TestCollects(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // none but those asked for
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := newPage(token)
		defer p.Close()
		visit := func() {
			leave := p.watch()
			time.Sleep(refreshEvery / 2)
			leave()
			synctest.Wait()
		}
		runtime.GC() // what other tests left
		before := forced()
		for range 5 {
			visit()
		}
		if got := forced() - before; got > 0 {
			t.Errorf("%d collections for five viewers who left next to nothing behind", got)
		}
		before = forced()
		for range 5 {
			left := make([][]byte, 2*mostLeft>>16)
			for i := range left {
				left[i] = make([]byte, 1<<16)
			}
			visit()
		}
		if got := forced() - before; got < 5 {
			t.Errorf("%d collections for five viewers who left %d bytes each", got, 2*mostLeft)
		}
		leave := p.watch()
		defer leave()
		synctest.Wait()
		before = forced()
		sink = make([]byte, 2*mostLeft)
		time.Sleep(refreshEvery + time.Second)
		sink = nil
		if forced() == before {
			t.Error("none for one who stays")
		}
	})
}

var sink []byte
