package classroom

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"dynvit/atomicfile"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/head"
	"dynvit/regular"
	"dynvit/teach"
)

// mostRecord bounds the file in bytes: a report of a hundred classes has 40 kB.
const mostRecord = 4 << 20

// InForce is a head that looks at a camera in place of what the configuration says.
type InForce struct {
	Model     string `json:"model"`
	InsteadOf string `json:"instead_of"` // what the configuration said then
}

// Result is what a lesson came to.
type Result struct {
	Model    string    `json:"model"`    // the head
	Backbone string    `json:"backbone"` // that it is on
	Whole    bool      `json:"whole"`    // it looks at whole pictures
	At       time.Time `json:"at"`
	Seconds  float64   `json:"seconds"`
	*teach.Report
}

// Entry is what is kept of a camera. What it points to does not change.
type Entry struct {
	InForce *InForce `json:"in_force,omitempty"`
	Result  *Result  `json:"result,omitempty"`
	Tried   bool     `json:"tried,omitempty"` // the result's head was in force
}

// Record keeps what was taught and what is in force, in a file. It is safe for concurrent
// use.
type Record struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	cameras map[string]Entry
}

// Open reads a record; where there is none, or none that can be read, it is empty. Without
// a path it is of this run alone.
func Open(path string, log *slog.Logger) *Record {
	r := &Record{path: path, log: log, cameras: map[string]Entry{}}
	if path == "" {
		return r
	}
	data, err := regular.Read(path, mostRecord)
	if err == nil {
		var list map[string]Entry
		if list, err = parse(data); list != nil {
			r.cameras = list
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("taught heads are not in force: their record cannot be read", "file", path, "err", err)
	}
	return r
}

// kept is the file.
type kept struct {
	Schema  int              `json:"schema"`
	Cameras map[string]Entry `json:"cameras"`
}

func parse(data []byte) (map[string]Entry, error) {
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, err
	}
	if k.Schema != 1 {
		return nil, fmt.Errorf("schema %d: want 1", k.Schema)
	}
	for camera, e := range k.Cameras {
		if e.InForce != nil {
			if err := head.CheckLabel(e.InForce.Model); err != nil {
				return nil, fmt.Errorf("camera %.60q: model: %w", camera, err)
			}
		}
		if e.Result != nil && (e.Result.Report == nil || head.CheckLabel(e.Result.Model) != nil) {
			return nil, fmt.Errorf("camera %.60q: a result without a report, or a model", camera)
		}
	}
	return k.Cameras, nil
}

// Entry is what is kept of a camera.
func (r *Record) Entry(camera string) Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cameras[camera]
}

// change alters what is kept of a camera, on disk first.
func (r *Record) change(camera string, alter func(*Entry)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, next := r.cameras[camera], maps.Clone(r.cameras)
	alter(&e)
	if next[camera] = e; e == (Entry{}) {
		delete(next, camera)
	}
	err := r.write(next)
	if err == nil {
		r.cameras = next
	}
	return err
}

func (r *Record) write(cameras map[string]Entry) error {
	if r.path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(r.path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(r.path, func(w io.Writer) error { return json.NewEncoder(w).Encode(kept{1, cameras}) })
}

// Apply is a configuration with what is in force in place of its own. A head that was put
// in place of something else than what the configuration says now is in force no more:
// who changed the file meant it. So is one that does not open; opens says why. The record
// says so once settle is called, when the configuration has been taken up; ended: it does now.
func (r *Record) Apply(c config.Config, opens func(c *config.Config, model string) error) (now config.Config, settle func() (ended bool)) {
	over := map[string]error{}
	r.mu.Lock()
	list := maps.Clone(r.cameras)
	r.mu.Unlock()
	own := c
	c.Cameras = maps.Clone(c.Cameras)
	for _, camera := range slices.Sorted(maps.Keys(list)) {
		e, cam := list[camera], c.Cameras[camera]
		if e.InForce == nil {
			continue
		}
		if why := e.InForce.against(&own, camera, opens); why != nil {
			over[camera] = why
			continue
		}
		cam.Model, cam.Labels = e.InForce.Model, nil // labels are of the other model
		c.Cameras[camera] = cam
	}
	return c, func() bool {
		for camera, why := range over {
			r.log.Warn("taught head not in force any more", "camera", camera, "model", list[camera].InForce.Model, "why", why)
			r.hold(camera, func(e *Entry) { e.InForce = nil })
		}
		return len(over) > 0
	}
}

// against is why a head cannot be in force.
func (f *InForce) against(c *config.Config, camera string, opens func(*config.Config, string) error) error {
	if _, is := c.Cameras[camera]; !is {
		return errors.New("the configuration has no such camera")
	}
	if now := Configured(c, camera); now != f.InsteadOf || several(c, camera) {
		return fmt.Errorf("it was put in place of %s, and the configuration says %s now", f.InsteadOf, now)
	}
	if engine.IsPath(f.Model) {
		return errors.New("want the name of a model")
	}
	return opens(c, f.Model)
}

// hold alters what is kept of a camera, for this run where the disk does not take it.
func (r *Record) hold(camera string, alter func(*Entry)) {
	err := r.change(camera, alter)
	if err == nil {
		return
	}
	r.log.Warn("not kept over a restart", "camera", camera, "err", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cameras = maps.Clone(r.cameras)
	e := r.cameras[camera]
	alter(&e)
	r.cameras[camera] = e
}
