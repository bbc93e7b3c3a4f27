package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sources "dynvit/camera"
	"dynvit/capture"
	"dynvit/classroom"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/vit"
)

// blind sees the same in every picture.
type blind struct{ wait chan struct{} }

func (b blind) Info() engine.Info                    { return engine.Info{Features: 192} }
func (b blind) Plan(k vit.Keep) (vit.Plan, error)    { return vit.PlanFor(k.Ratio, 196, 3) }
func (b blind) Ratio(k vit.Keep, _ vit.Plan) float64 { return k.Ratio }
func (b blind) Close() error                         { return nil }
func (b blind) Features(dst []float32, f *sources.Frame, _ engine.View, plans []vit.Plan) ([]float32, error) {
	<-b.wait
	for range plans {
		row := make([]float32, 192)
		row[f.Data[len(f.Data)-1]%192] = 1 // what a test ends its pictures with
		dst = append(dst, row...)
	}
	return dst, nil
}

// lessons is a page that teaches.
type lessons struct {
	*Page
	mux     *http.ServeMux
	folder  *capture.Folder
	config  config.Config
	look    chan struct{} // closed: pictures are looked at
	renewed int
}

func newLessons(t *testing.T, token string) *lessons {
	t.Helper()
	dir := t.TempDir()
	l := &lessons{mux: http.NewServeMux(), folder: capture.New(filepath.Join(dir, "teach"), 1<<20), config: config.Default("box"), look: make(chan struct{})}
	l.config.Cameras["door"] = config.DefaultCamera()
	log := slog.New(slog.DiscardHandler)
	record := classroom.Open("", log)
	room := classroom.New(classroom.Options{
		Record: record, Pictures: l.folder, Folder: filepath.Join(dir, "taught"), Log: log,
		Open:       func(engine.Options) (classroom.Looker, error) { return blind{l.look}, nil },
		Inspect:    func(engine.Options) (engine.Outline, error) { return engine.Outline{}, nil },
		Configured: func() *config.Config { return &l.config },
		Engine:     func(*config.Config, string, []string) engine.Options { return engine.Options{} },
		InTurn:     func(_ context.Context, do func() error) error { return do() },
		Renew:      func(context.Context) error { l.renewed++; return nil },
	})
	l.Page = New(Options{Source: newDaemon(), Room: room, Token: token, Log: log})
	l.Register(l.mux)
	t.Cleanup(func() { l.Close(); room.Close() })
	return l
}

// jpegEnd follows what a JPEG begins with; the last byte is what blind sees.
func (l *lessons) add(t *testing.T, label string, n int, sees byte) (names []string) {
	t.Helper()
	for i := range n {
		name, _, err := l.folder.Add("door", label, time.Date(2026, 11, 29, 12, 0, i, 0, time.UTC), append([]byte("\xff\xd8\xff\xe0pixels"), sees+byte(i)))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// do asks as who has the token does.
func (l *lessons) do(method, path, body string) (code int, answer string) {
	w := askedWith(l.mux, method, path, body, "Authorization", "Bearer "+token)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func (l *lessons) camera(t *testing.T) (c classroom.Camera) {
	t.Helper()
	code, body := l.do("GET", "/page/teach/door", "")
	if err := json.Unmarshal([]byte(body), &c); code != 200 || err != nil {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	return c
}

// TestTeachAccess: without the token nothing is to be had, from this machine neither, nor
// by another site's page; without a room there is nothing.
func TestTeachAccess(t *testing.T) {
	l := newLessons(t, token)
	name := l.add(t, "open", 1, 0)[0]
	picture := "/page/teach/door/pictures/open/" + name
	for path, methods := range map[string]string{"/page/teach/door": "GET", picture: "GET DELETE POST", "/page/teach/door/lesson": "POST DELETE", "/page/teach/door/model": "POST DELETE"} {
		for _, method := range strings.Fields(methods) {
			if w := asked(l.mux, method, path); w.Code != http.StatusUnauthorized {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
			if w := asked(l.mux, method, path, "Authorization", "Bearer "+token, "Sec-Fetch-Site", "cross-site", "Origin", "http://elsewhere"); w.Code != http.StatusForbidden {
				t.Errorf("%s %s by another site: %d", method, path, w.Code)
			}
			if w := asked(newLessons(t, "").mux, method, path); w.Code != http.StatusForbidden {
				t.Errorf("%s %s where there is no token: %d", method, path, w.Code)
			}
		}
	}
	if _, _, mux := newPage(token); asked(mux, "GET", "/page/teach/door", "Authorization", "Bearer "+token).Code != http.StatusNotFound {
		t.Error("taught without a room")
	}
	if c := l.camera(t); len(c.Labels) != 1 || len(c.Labels[0].Pictures) != 1 {
		t.Errorf("%+v", c)
	}
}

// TestTeachPictures: they are listed, shown, moved and removed, and no name leads
// elsewhere.
func TestTeachPictures(t *testing.T) {
	l := newLessons(t, token)
	names := l.add(t, "open", 2, 0)
	l.add(t, "Tür zu", 1, 0)
	at := "/page/teach/door/pictures/"
	w := asked(l.mux, "GET", at+"open/"+names[0], "Authorization", "Bearer "+token)
	if w.Code != 200 || w.Header().Get("Content-Type") != "image/jpeg" || w.Header().Get("Cache-Control") != "no-store" || !bytes.HasPrefix(w.Body.Bytes(), []byte("\xff\xd8")) {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	part := asked(l.mux, "GET", at+"open/"+names[0], "Authorization", "Bearer "+token, "Range", "bytes=0-1")
	if head := asked(l.mux, "HEAD", at+"open/"+names[0], "Authorization", "Bearer "+token); head.Code != 200 || head.Body.Len() != 0 || part.Code != 206 || part.Body.String() != "\xff\xd8" {
		t.Errorf("HEAD %d, a part %d %q", head.Code, part.Code, part.Body)
	}
	for _, step := range []struct {
		method, path, body string
		code               int
		says               string
	}{
		{"POST", "open/" + names[0], `{"label":"shut"}`, 200, `"ok":true`},
		{"GET", "open/" + names[0], "", 404, "no such picture"},
		{"GET", "shut/" + names[0], "", 200, ""},
		{"GET", "T%C3%BCr%20zu/" + names[0], "", 200, ""},
		{"POST", "open/" + names[1], `{"label":"../x"}`, 422, "label"},
		{"POST", "open/" + names[1], `{"label":"a","x":1}`, 400, "want a JSON object"},
		{"POST", "open/" + names[1], `{"label":"` + strings.Repeat("x", 2000) + `"}`, 413, "more than"},
		{"POST", "shut/" + names[0], `{"label":"Tür zu"}`, 422, "there already"},
		{"GET", "..%2F..%2Fdoor/x.jpg", "", 422, "label"},
		{"GET", "open/..%2F..%2Fsecret.jpg", "", 422, "picture"},
		{"GET", "open/none.jpg", "", 404, "no such picture"},
		{"DELETE", "open/" + names[1], "", 200, `"ok":true`},
		{"DELETE", "open/" + names[1], "", 404, "no such picture"},
	} {
		if code, body := l.do(step.method, at+step.path, step.body); code != step.code || !strings.Contains(body, step.says) {
			t.Errorf("%s %s %.40s: %d %.200s, want %d %s", step.method, step.path, step.body, code, body, step.code, step.says)
		}
	}
	if code, body := l.do("GET", "/page/teach/none", ""); code != 404 {
		t.Errorf("another camera: %d %s", code, body)
	}
	var got []string
	for _, label := range l.camera(t).Labels {
		got = append(got, fmt.Sprint(label.Label, " ", len(label.Pictures)))
	}
	if want := "Tür zu 1, open 0, shut 1"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestTeachLesson: a lesson begins, tells how it goes, can be cancelled, comes to a report,
// and is put in force and taken back.
func TestTeachLesson(t *testing.T) {
	l := newLessons(t, token)
	if code, body := l.do("POST", "/page/teach/door/lesson", ""); code != 422 || !strings.Contains(body, "no pictures") || strings.Contains(body, "/tmp") {
		t.Errorf("of nothing: %d %s", code, body)
	}
	if code, _ := l.do("POST", "/page/teach/door/lesson", `{"half":true}`); code != 400 {
		t.Errorf("of something else: %d", code)
	}
	l.add(t, "open", 5, 0)
	l.add(t, "shut", 5, 50)
	events, leave := listen(t, l.mux)
	defer leave()
	until := func(says string) {
		t.Helper()
		for {
			select {
			case e := <-events:
				if e.name == "teach" && strings.Contains(e.data, says) {
					return
				}
			case <-time.After(time.Minute):
				t.Fatalf("never: %s", says)
			}
		}
	}
	if code, body := l.do("POST", "/page/teach/door/lesson", ""); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	until(`"running":{"camera":"door"`)
	if code, body := l.do("POST", "/page/teach/door/lesson", ""); code != 422 || !strings.Contains(body, "one lesson at a time") {
		t.Errorf("a second: %d %s", code, body)
	}
	if code, body := l.do("DELETE", "/page/teach/door/lesson", ""); code != 200 {
		t.Errorf("cancelled: %d %s", code, body)
	}
	close(l.look)
	until(`"failed":"cancelled"`)
	if code, body := l.do("POST", "/page/teach/door/lesson", ""); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	until(`"taught":"door-1"`)
	if c := l.camera(t); c.Result == nil || c.Result.Pictures != 10 || c.Model != "imagenette" || c.InForce != nil || c.Failed != "" {
		t.Fatalf("%+v", c)
	}
	for _, step := range []struct {
		method, body string
		code         int
		says         string
	}{
		{"DELETE", "", 422, "nothing is in force"},
		{"POST", `{"model":"door-1","instead_of":"garage"}`, 422, "the configuration says imagenette"},
		{"POST", `{"model":"../door-1","instead_of":"imagenette"}`, 422, "another one"},
		{"POST", `{"model":"door-1","instead_of":"imagenette"}`, 200, `"ok":true`},
		{"DELETE", "", 200, `"ok":true`},
	} {
		if code, body := l.do(step.method, "/page/teach/door/model", step.body); code != step.code || !strings.Contains(body, step.says) {
			t.Errorf("%s %s: %d %s", step.method, step.body, code, body)
		}
	}
	if l.renewed != 2 {
		t.Errorf("taken up %d times", l.renewed)
	}
}

// TestTeachErrors: what the disk says is told without where things lie.
func TestTeachErrors(t *testing.T) {
	l := newLessons(t, token)
	w := askedWith(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.refuse(w, r, fmt.Errorf("kept: %w", &os.PathError{Op: "open", Path: "/var/lib/secret", Err: errors.New("disk full")}))
	}), "GET", "/page/teach/door", "")
	if w.Code != 422 || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), "disk full") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
