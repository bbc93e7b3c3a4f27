package classroom

import (
	"context"
	"errors"
	"fmt"

	"dynvit/config"
)

// Put has the head of a camera's newest lesson look at it from the next frame on, and
// after restarts. insteadOf is what the configuration says, which whoever asks has seen.
// An error is of who asks, and nothing has changed.
func (r *Room) Put(ctx context.Context, camera, model, insteadOf string) error {
	r.putting.Lock()
	defer r.putting.Unlock()
	c := r.o.Configured()
	e := r.o.Record.Entry(camera)
	if err := mayPut(c, e, camera, model, insteadOf); err != nil {
		return err
	}
	if _, err := r.o.Inspect(r.o.Engine(c, model, r.o.Store)); err != nil {
		return err
	}
	if err := r.force(ctx, camera, e.InForce, &InForce{model, insteadOf}); err != nil {
		return err
	}
	r.o.Log.Info("taught head in force", "camera", camera, "model", model, "instead_of", insteadOf)
	return nil
}

func mayPut(c *config.Config, e Entry, camera, model, insteadOf string) error {
	now := Configured(c, camera)
	_, is := c.Cameras[camera]
	switch {
	case !is:
		return fmt.Errorf("camera %.60q: %w", camera, ErrUnknown)
	case several(c, camera):
		return fmt.Errorf("the configuration lists the models of camera %s: name %.60s there, in cameras.%s.models", camera, model, camera)
	case e.Result == nil || e.Result.Model != model:
		return fmt.Errorf("model %.60q: the newest lesson of camera %s has made another one", model, camera)
	case insteadOf != now:
		return fmt.Errorf("instead_of %.60q: the configuration says %s", insteadOf, now)
	}
	return nil
}

// Undo has a camera looked at by what the configuration says again.
func (r *Room) Undo(ctx context.Context, camera string) error {
	r.putting.Lock()
	defer r.putting.Unlock()
	was := r.o.Record.Entry(camera).InForce
	if was == nil {
		return errors.New("nothing is in force but what the configuration says")
	}
	if err := r.force(ctx, camera, was, nil); err != nil {
		return err
	}
	r.o.Log.Info("taught head not in force any more", "camera", camera, "model", was.Model, "why", "undone")
	return nil
}

// force writes down what is in force and has it taken up; where that fails what was in
// force is again.
func (r *Room) force(ctx context.Context, camera string, was, is *InForce) error {
	set := func(f *InForce) error {
		return r.o.Record.change(camera, func(e *Entry) { e.InForce, e.Tried = f, e.Tried || f != nil })
	}
	if err := set(is); err != nil {
		return err
	}
	if err := r.o.Renew(ctx); err != nil {
		return errors.Join(err, set(was))
	}
	if now := r.o.Record.Entry(camera).InForce; is != nil && now == nil {
		return errors.New("it did not open") // Apply has logged why
	}
	r.changed()
	return nil
}
