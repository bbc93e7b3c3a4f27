package classroom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dynvit/camera"
	"dynvit/engine"
	"dynvit/head"
	"dynvit/modelfile"
	"dynvit/models"
	"dynvit/teach"
	"dynvit/vit"
)

// Train begins a lesson on what was captured of a camera, in a goroutine of the room's: on
// whole pictures, or on what the backbone is shown of them (head.Head.Whole). What is wrong at once is an error, what is found later is in Status and Camera.
func (r *Room) Train(camera string, whole bool) error {
	if _, is := r.o.Configured().Cameras[camera]; !is {
		return fmt.Errorf("camera %.60q: %w", camera, ErrUnknown)
	}
	dir, err := r.o.Pictures.Path(camera)
	if err != nil {
		return err
	}
	examples, err := teach.List(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = errors.New("no pictures were captured of it yet")
		}
		return fmt.Errorf("camera %s: %s", camera, strings.TrimPrefix(err.Error(), dir+": "))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ctx.Err() != nil:
		return errors.New("the daemon stops")
	case r.running != nil:
		return fmt.Errorf("camera %s is being taught: one lesson at a time", r.running.Camera)
	}
	ctx, cancel := context.WithCancel(r.ctx)
	r.running, r.cancel = &Progress{Camera: camera, Phase: "model"}, cancel
	delete(r.failed, camera)
	r.done.Go(func() {
		defer cancel()
		r.lesson(ctx, camera, examples, whole)
	})
	return nil
}

// Cancel ends the lesson of a camera, of which nothing remains.
func (r *Room) Cancel(camera string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil || r.running.Camera != camera {
		return fmt.Errorf("camera %.60s is not being taught", camera)
	}
	r.cancel()
	return nil
}

// lesson teaches and keeps what came of it.
func (r *Room) lesson(ctx context.Context, camera string, examples teach.Examples, whole bool) {
	r.changed()
	r.o.Log.Info("lesson begun", "camera", camera, "pictures", len(examples.Pictures), "labels", len(examples.Labels))
	result, err := r.learn(ctx, camera, examples, whole)
	if err == nil {
		r.replace(camera, result)
	}
	r.mu.Lock()
	r.running = nil
	switch {
	case err == nil:
	case ctx.Err() != nil:
		r.failed[camera] = "cancelled"
	default:
		r.failed[camera] = err.Error()
	}
	r.mu.Unlock()
	if err != nil {
		r.o.Log.Warn("lesson came to nothing", "camera", camera, "why", err)
	} else {
		r.o.Log.Info("lesson learned", "camera", camera, "model", result.Model, "accuracy", result.Accuracy, "seconds", result.Seconds)
	}
	r.changed()
}

// replace keeps a result in place of the one before, whose head goes too unless it is in
// force: it never was.
func (r *Room) replace(camera string, result *Result) {
	r.putting.Lock()
	defer r.putting.Unlock()
	before := r.o.Record.Entry(camera)
	r.o.Record.hold(camera, func(e *Entry) { e.Result, e.Tried = result, false })
	if before.Result != nil && !before.Tried {
		if err := os.Remove(r.path(before.Result.Model)); err != nil && !errors.Is(err, os.ErrNotExist) {
			r.o.Log.Warn("head not removed", "err", err)
		}
	}
}

func (r *Room) path(model string) string {
	return filepath.Join(r.o.Folder, model+".safetensors")
}

// learn makes a head of examples and writes it under a name that nothing has yet.
func (r *Room) learn(ctx context.Context, camera string, examples teach.Examples, whole bool) (*Result, error) {
	start := time.Now()
	base, options, err := r.backbone(camera)
	if err != nil {
		return nil, err
	}
	defer base.file.Close()
	options.Whole = whole
	looker, err := r.o.Open(options)
	if err != nil {
		return nil, err
	}
	defer looker.Close()
	h, report, err := teach.Run(ctx, &inTurn{looker, ctx, r.o.InTurn}, examples, teach.Options{
		Threads: 1, Progress: func(p teach.Progress) { r.progress(camera, p) },
		Failed: func(path string, err error) { r.o.Log.Warn("picture left out", "picture", path, "err", err) },
	})
	if err != nil {
		return nil, err
	}
	h.Backbone, h.Base, h.Whole = vit.BackboneSum(base.file), base.name, whole
	h.Note["precision"], h.Note["program"], h.Note["camera"] = looker.Info().Precision.String(), r.o.Program, camera
	for i := range report.Doubtful {
		report.Doubtful[i].Image = filepath.Base(report.Doubtful[i].Image)
	}
	name, err := r.write(camera, h, base)
	if err != nil {
		return nil, err
	}
	return &Result{name, base.name, whole, time.Now().UTC().Truncate(time.Millisecond), time.Since(start).Seconds(), report}, nil
}

// backbone is a model that a head is put on.
type backbone struct {
	file   *modelfile.File
	name   string // by which it is found
	bundle bool   // it is not where a head looks for it: it goes into the head's file
}

// backbone finds what looks at a camera by the configuration: of several the first, of a
// taught head what that is on.
func (r *Room) backbone(camera string) (backbone, engine.Options, error) {
	c := r.o.Configured()
	name := c.ModelsOf(camera)[0].Name
	file, short, err := engine.OpenFile(name, r.o.Store)
	if err == nil && head.Is(file) {
		name, err = baseOf(file, short)
		file.Close()
		if err == nil {
			file, short, err = engine.OpenFile(name, r.o.Store)
		}
	}
	if err != nil {
		return backbone{}, engine.Options{}, err
	}
	o := r.o.Engine(c, name, r.o.Store)
	o.Predictors, o.Features = "", true // heads have none beside them
	return backbone{file, short, engine.IsPath(name) && !slices.Contains(r.o.Store, filepath.Dir(name))}, o, nil
}

// baseOf is the name of the backbone that a taught head is on.
func baseOf(f *modelfile.File, name string) (string, error) {
	h, err := head.Parse(f)
	switch {
	case err != nil:
		return "", fmt.Errorf("model %s: %w", name, err)
	case head.Bundled(f) != nil:
		return "", fmt.Errorf("model %s is a head and its backbone in one file: teach by dynvitd teach on the backbone", name)
	}
	return cmp.Or(h.Base, models.DefaultName), nil
}

// write gives a head a name that no model has: the camera's, and a number.
func (r *Room) write(camera string, h *head.Head, base backbone) (name string, err error) {
	if err := os.MkdirAll(r.o.Folder, 0o755); err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		if name = fmt.Sprintf("%s-%d", camera, n); !r.taken(name) {
			break
		}
	}
	into := base.file
	if !base.bundle {
		into = nil
	}
	return name, h.Write(r.path(name), into)
}

func (r *Room) taken(name string) bool {
	if name == models.DefaultName {
		return true
	}
	for _, dir := range append(slices.Clone(r.o.Store), r.o.Folder) {
		if _, err := os.Lstat(filepath.Join(dir, name+".safetensors")); !errors.Is(err, os.ErrNotExist) {
			return true
		}
	}
	return false
}

func (r *Room) progress(camera string, p teach.Progress) {
	r.mu.Lock()
	r.running = &Progress{camera, p.Phase, p.Done, p.Total, p.Left.Seconds()}
	r.mu.Unlock()
	r.changed()
}

// inTurn looks at pictures by the goroutine that looks at the frames, a run of the model at
// a time and each camera's turn between, as calibrations do: a frame waits for one run at
// most, and no processor is taken from it meanwhile.
type inTurn struct {
	Looker
	ctx  context.Context
	turn func(ctx context.Context, do func() error) error
}

// Features implements teach.Looker.
func (l *inTurn) Features(dst []float32, f *camera.Frame, v engine.View, plans []vit.Plan) ([]float32, error) {
	for i := range plans {
		var err error
		turned := l.turn(l.ctx, func() error {
			dst, err = l.Looker.Features(dst, f, v, plans[i:i+1])
			return nil
		})
		if turned != nil {
			return dst, turned
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}
