package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"dynvit/capture"
	"dynvit/classroom"
	"dynvit/messages"
)

// The teach view: what was captured of a camera, lessons, and what is in force. All of it
// needs the token, reading too: pictures of hours ago tell more than the one of now.

// registerTeach adds the teach view's routes, where there is a room to teach in.
func (p *Page) registerTeach(mux *http.ServeMux) {
	if p.room == nil {
		return
	}
	const picture = "/page/teach/{camera}/pictures/{label}/{name}"
	mux.Handle("GET /page/teach/{camera}", hardened(p.access.holding(p.taught)))
	mux.Handle("GET "+picture, hardened(p.access.holding(p.captured)))
	mux.Handle("DELETE "+picture, hardened(p.access.changing(p.removePicture)))
	mux.Handle("POST "+picture, hardened(p.access.changing(p.movePicture)))
	mux.Handle("POST /page/teach/{camera}/lesson", hardened(p.access.changing(p.train)))
	mux.Handle("DELETE /page/teach/{camera}/lesson", hardened(p.access.changing(p.cancelLesson)))
	mux.Handle("POST /page/teach/{camera}/model", hardened(p.access.changing(p.putInForce)))
	mux.Handle("DELETE /page/teach/{camera}/model", hardened(p.access.changing(p.undo)))
}

// taught answers with all that there is of a camera.
func (p *Page) taught(w http.ResponseWriter, r *http.Request) {
	c, err := p.room.Camera(r.PathValue("camera"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, c)
}

// pictureOf is the picture that a path names; the folder checks the names.
func pictureOf(r *http.Request) capture.Picture {
	return capture.Picture{Camera: r.PathValue("camera"), Label: r.PathValue("label"), Name: r.PathValue("name")}
}

// captured answers with a picture as it was kept.
func (p *Page) captured(w http.ResponseWriter, r *http.Request) {
	release, ok := slot(w, p.pictures)
	if !ok {
		return
	}
	defer release()
	data, err := p.room.Pictures().Read(pictureOf(r))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (p *Page) removePicture(w http.ResponseWriter, r *http.Request) {
	p.conclude(w, r, "picture removed", p.room.Pictures().Remove(pictureOf(r)))
}

func (p *Page) movePicture(w http.ResponseWriter, r *http.Request) {
	var to struct {
		Label string `json:"label"`
	}
	if sent(w, r, &to) {
		p.conclude(w, r, "picture moved", p.room.Pictures().Move(pictureOf(r), to.Label))
	}
}

func (p *Page) train(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Whole bool `json:"whole"`
	}
	if r.ContentLength == 0 || sent(w, r, &wanted) {
		p.conclude(w, r, "lesson", p.room.Train(r.PathValue("camera"), wanted.Whole))
	}
}

func (p *Page) cancelLesson(w http.ResponseWriter, r *http.Request) {
	p.conclude(w, r, "lesson cancelled", p.room.Cancel(r.PathValue("camera")))
}

func (p *Page) putInForce(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Model     string `json:"model"`
		InsteadOf string `json:"instead_of"`
	}
	if !sent(w, r, &wanted) {
		return
	}
	p.patiently(w, func(ctx context.Context) {
		p.conclude(w, r, "model in force", p.room.Put(ctx, r.PathValue("camera"), wanted.Model, wanted.InsteadOf))
	})
}

func (p *Page) undo(w http.ResponseWriter, r *http.Request) {
	p.patiently(w, func(ctx context.Context) { p.conclude(w, r, "model undone", p.room.Undo(ctx, r.PathValue("camera"))) })
}

// patiently does what takes longer than a page: a model is opened. It goes on when who
// asked for it is gone.
func (p *Page) patiently(w http.ResponseWriter, do func(context.Context)) {
	http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a recorder has none
	do(p.ctx)
	p.refresh()
}

// conclude answers that something was done, or why it was not.
func (p *Page) conclude(w http.ResponseWriter, r *http.Request, what string, err error) {
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.log.Info(what, "of", strings.TrimPrefix(r.URL.Path, "/page/teach/"), "peer", peerOf(r).String())
	answer(w, http.StatusOK, messages.Outcome{OK: true, Value: true})
}

// refuse says why something is not done: 404 for what is not there, else 422.
func (p *Page) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code, why := http.StatusUnprocessableEntity, err.Error()
	var path *fs.PathError
	switch {
	case errors.Is(err, classroom.ErrUnknown):
		code = http.StatusNotFound
	case errors.Is(err, fs.ErrNotExist):
		code, why = http.StatusNotFound, "no such picture"
	case errors.Is(err, fs.ErrExist):
		why = "a picture of that name is there already"
	case errors.As(err, &path):
		why = fmt.Sprint(path.Op, ": ", path.Err) // where things lie is nobody's business
	}
	why = strings.ReplaceAll(why, "\n", "; ")
	p.log.Warn("refused", "what", r.Method, "of", fmt.Sprintf("%.200q", strings.TrimPrefix(r.URL.Path, "/page/teach/")), "why", why)
	answer(w, code, messages.Outcome{Error: &why})
}

// sent reads a small JSON object; false: it was none, which is answered.
func sent(w http.ResponseWriter, r *http.Request, into any) bool {
	payload, ok := body(w, r)
	if !ok {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		http.Error(w, "want a JSON object: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

// tellTeach has viewers hear how lessons go.
func (p *Page) tellTeach() {
	if p.room != nil {
		p.update("teach", messages.Encode(p.room.Status()))
	}
}
