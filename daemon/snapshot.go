package daemon

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"dynvit/camera"
	"dynvit/capture"
	"dynvit/mqtt"
	"dynvit/pictures"
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
	if err := pictures.EncodeJPEG(&s.buf, f); err != nil {
		return nil, err
	}
	if n := s.buf.Len(); n > maxSnapshot {
		return nil, fmt.Errorf("picture of %d bytes: at most %d are published", n, maxSnapshot)
	}
	return s.buf.Bytes(), nil
}

// publishSnapshot publishes a frame as it is.
func (w *inference) publishSnapshot(feed *feed, f *camera.Frame) error {
	data, err := w.snapshots.of(f)
	if err != nil {
		return err
	}
	return w.out.out.Publish(mqtt.Message{Topic: feed.topics.Snapshot, Payload: data, Retain: true})
}

// request is a command that waits for a camera's next frame.
type request struct {
	ctx  context.Context
	done chan error // holds one
}

// serveRequest publishes the frame that a command waits for, if one does.
func (w *inference) serveRequest(feed *feed, f *camera.Frame) {
	r := feed.request
	if r == nil {
		return
	}
	feed.request = nil
	if r.ctx.Err() == nil {
		r.done <- w.publishSnapshot(feed, f)
	}
}

// capture keeps a frame as an example of a class, where one is to be taken.
func (w *inference) capture(feed *feed, f *camera.Frame) {
	t, now := feed.taking, w.now()
	if t == nil || !t.Due(now) {
		return
	}
	picture, err := capture.JPEG(f, feed.config.Load().Region)
	if err == nil {
		err = w.captures.Put(feed.name, t.Label, f.Captured, picture)
	}
	if err != nil {
		feed.log.Warn("picture not captured", "label", t.Label, "err", err)
		return // another frame will do
	}
	if t.Took(now) {
		feed.taking = nil
		feed.log.Info("captured", "label", t.Label, "pictures", t.Taken)
	}
}
