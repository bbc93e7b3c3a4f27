// Package classroom teaches heads beside the running cameras, and has them look at these:
// what the page's teach view does. [Record] keeps which head is in force in place of what
// the configuration says, and what the last lesson of each camera found; [Room] gives
// lessons, one at a time.
//
// It teaches by package teach on what package capture has kept. The configuration is
// another's: a head is put in force by having it taken up anew, with the record applied.
package classroom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"dynvit/capture"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/models"
	"dynvit/teach"
)

// Looker looks at pictures, until it is closed; *engine.Engine, opened for features, is one.
type Looker interface {
	teach.Looker
	Close() error
}

// Options are what a room needs.
type Options struct {
	Record   *Record
	Pictures *capture.Folder
	Folder   string   // where heads are written, the last of Store
	Store    []string // folders of named models
	Program  string   // its version, for the heads' notes
	Log      *slog.Logger

	Open    func(engine.Options) (Looker, error)
	Inspect func(engine.Options) (engine.Outline, error)

	// Configured is the configuration without what the record has in its place.
	Configured func() *config.Config
	// Engine is how a model is opened by a configuration.
	Engine func(c *config.Config, model string, store []string) engine.Options
	// InTurn does something by the goroutine that looks at the frames, between those.
	InTurn func(ctx context.Context, do func() error) error
	// Renew has the configuration taken up anew, with the record applied to it.
	Renew func(ctx context.Context) error
}

// Room gives lessons. It is safe for concurrent use.
type Room struct {
	o    Options
	ctx  context.Context // ends when the room is closed
	stop context.CancelFunc
	done sync.WaitGroup

	putting sync.Mutex // of what is in force

	mu      sync.Mutex
	running *Progress
	cancel  context.CancelFunc // of the lesson that runs
	failed  map[string]string  // why the last lesson of a camera came to nothing
	changed func()
}

// New is a room in which nothing is taught yet.
func New(o Options) *Room {
	r := &Room{o: o, failed: map[string]string{}, changed: func() {}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// OnChange has do called when Status is another one, by any goroutine. It is called once,
// before the first lesson.
func (r *Room) OnChange(do func()) { r.changed = do }

// Close ends the lesson that runs and waits for it.
func (r *Room) Close() {
	r.mu.Lock()
	r.stop()
	r.mu.Unlock()
	r.done.Wait()
}

// Progress is how far a lesson is.
type Progress struct {
	Camera string  `json:"camera"`
	Phase  string  `json:"phase"` // model, pictures, folds
	Done   int     `json:"done"`
	Total  int     `json:"total"`
	Left   float64 `json:"left_s"`
}

// Status is what changes while nobody asks.
type Status struct {
	Running *Progress             `json:"running"`
	Cameras map[string]CameraNews `json:"cameras"`
}

// CameraNews is what of a camera tells that there is more to be asked for.
type CameraNews struct {
	Taught  string `json:"taught"`   // the newest lesson's model, "" for none
	InForce string `json:"in_force"` // "" for what the configuration says
	Failed  string `json:"failed"`   // why the last lesson came to nothing
}

// Status says what goes on.
func (r *Room) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{Cameras: map[string]CameraNews{}}
	if r.running != nil {
		now := *r.running
		s.Running = &now
	}
	for camera := range r.o.Configured().Cameras {
		e := r.o.Record.Entry(camera)
		news := CameraNews{Failed: r.failed[camera]}
		if e.Result != nil {
			news.Taught = e.Result.Model
		}
		if e.InForce != nil {
			news.InForce = e.InForce.Model
		}
		s.Cameras[camera] = news
	}
	return s
}

// Camera is what there is of one.
type Camera struct {
	Camera  string   `json:"camera"`
	Model   string   `json:"model"`    // by the configuration, joined where there are several
	Named   bool     `json:"named"`    // the configuration names it for this camera
	Several bool     `json:"several"`  // nothing can be put in force
	InForce *InForce `json:"in_force"` // null: what the configuration says
	Result  *Result  `json:"result"`   // of the newest lesson
	Failed  string   `json:"failed"`
	Labels  []Label  `json:"labels"`
	Bytes   int64    `json:"bytes"`      // of all pictures
	Most    int64    `json:"most_bytes"` // beyond which the oldest make room
}

// Label is a class and its pictures, the newest first.
type Label struct {
	Label    string    `json:"label"`
	Pictures []Picture `json:"pictures"`
}

// Picture is one that was kept.
type Picture struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// ErrUnknown is a camera, or a picture, that is not there.
var ErrUnknown = errors.New("there is no such camera")

// Camera lists what there is of one.
func (r *Room) Camera(name string) (*Camera, error) {
	c := r.o.Configured()
	cam, is := c.Cameras[name]
	if !is {
		return nil, fmt.Errorf("camera %.60q: %w", name, ErrUnknown)
	}
	list, labels, err := r.o.Pictures.List(name)
	if err != nil {
		return nil, err
	}
	e := r.o.Record.Entry(name)
	r.mu.Lock()
	failed := r.failed[name]
	r.mu.Unlock()
	out := &Camera{
		Camera: name, Model: Configured(c, name), Named: cam.Model != "" || len(cam.Models) > 0, Several: several(c, name),
		InForce: e.InForce, Result: e.Result, Failed: failed, Labels: []Label{}, Most: capture.MostBytes,
	}
	at := map[string]int{}
	for _, label := range labels {
		at[label] = len(out.Labels)
		out.Labels = append(out.Labels, Label{label, []Picture{}})
	}
	for i := len(list) - 1; i >= 0; i-- {
		l := &out.Labels[at[list[i].Label]]
		l.Pictures = append(l.Pictures, Picture{list[i].Name, list[i].Bytes})
		out.Bytes += list[i].Bytes
	}
	return out, nil
}

// Pictures are those that were captured.
func (r *Room) Pictures() *capture.Folder { return r.o.Pictures }

// Configured are the models that a configuration has look at a camera, in words.
func Configured(c *config.Config, camera string) string {
	var names []string
	for _, m := range c.ModelsOf(camera) {
		names = append(names, cmp.Or(m.Name, models.DefaultName))
	}
	return strings.Join(names, ", ")
}

// several reports whether the configuration lists the camera's models: which topics there
// are then is its own to say.
func several(c *config.Config, camera string) bool { return len(c.Cameras[camera].Models) > 0 }
