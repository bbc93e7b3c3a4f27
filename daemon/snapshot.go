package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"dynvit/camera"
	"dynvit/mqtt"
)

const (
	// maxSnapshot bounds a published picture in bytes; a camera's JPEG of 4K has 2 MB.
	maxSnapshot = 4 << 20
	// snapshotWait is how long a command waits for a frame, at most.
	snapshotWait = 10 * time.Second
)

// snapshots makes pictures of frames. One goroutine uses it at a time.
type snapshots struct{ buf bytes.Buffer }

// of is a frame as JPEG, valid until the next call.
func (s *snapshots) of(f *camera.Frame) ([]byte, error) {
	s.buf.Reset()
	if err := camera.EncodeJPEG(&s.buf, f); err != nil {
		return nil, err
	}
	if n := s.buf.Len(); n > maxSnapshot {
		return nil, fmt.Errorf("picture of %d bytes: at most %d are published", n, maxSnapshot)
	}
	return s.buf.Bytes(), nil
}

// publishSnapshot publishes a frame as it is.
func (w *inference) publishSnapshot(v *view, f *camera.Frame) error {
	data, err := w.snapshots.of(f)
	if err != nil {
		return err
	}
	return w.out.Publish(mqtt.Message{Topic: v.topics.snapshot, Payload: data, Retain: true})
}

// request is a command that waits for a camera's next frame.
type request struct {
	ctx  context.Context
	done chan error // holds one
}

// serveRequest publishes the frame that a command waits for, if one does.
func (w *inference) serveRequest(v *view, f *camera.Frame) {
	r := v.request
	if r == nil {
		return
	}
	v.request = nil
	if r.ctx.Err() == nil {
		r.done <- w.publishSnapshot(v, f)
	}
}

// commandSnapshot publishes the next frame of a camera.
func (d *Daemon) commandSnapshot(ctx context.Context, value json.RawMessage) (any, error) {
	var name string
	if err := json.Unmarshal(value, &name); err != nil {
		return nil, fmt.Errorf("snapshot %s: want the name of a camera", value)
	}
	i := d.unitIndex(name)
	if i < 0 {
		return nil, fmt.Errorf("snapshot %s: there is no such camera", value)
	}
	u := d.units[i]
	if now := u.status.get(); now.Word != cameraOnline {
		return nil, fmt.Errorf("camera %s is %s", name, join(now.Word, now.Reason))
	}
	wait := min(u.config.Timeout, snapshotWait)
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	r := &request{ctx: waiting, done: make(chan error, 1)}
	err := d.order(ctx, func(context.Context) error {
		d.inference.views[i].request = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	select {
	case err := <-r.done:
		return name, err
	case <-ctx.Done():
		return nil, errors.New("the daemon stops")
	case <-waiting.Done():
		return nil, fmt.Errorf("camera %s: no frame in %v", name, wait)
	}
}

// unitIndex is a camera's place among the units, -1 where there is none of that
// name.
func (d *Daemon) unitIndex(name string) int {
	for i, u := range d.units {
		if u.name == name {
			return i
		}
	}
	return -1
}

// commandEnabled switches a camera on or off.
func (d *Daemon) commandEnabled(name string) func(context.Context, json.RawMessage) (any, error) {
	return func(_ context.Context, value json.RawMessage) (any, error) {
		i := d.unitIndex(name)
		if i < 0 {
			return nil, fmt.Errorf("camera %q: there is no such camera", name)
		}
		var on bool
		if string(value) != "null" && json.Unmarshal(value, &on) == nil {
			if d.units[i].toggle.set(on, "by command") {
				d.publishSettings()
			}
			return on, nil
		}
		return nil, fmt.Errorf("enabled %s: want true or false", value)
	}
}
