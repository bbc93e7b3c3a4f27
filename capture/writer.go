package capture

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// shot is a picture to be written.
type shot struct {
	camera, label string
	at            time.Time
	jpeg          []byte
}

// mostWaiting pictures wait for the disk.
const mostWaiting = 4

// Writer writes pictures in a goroutine of its own, so that who takes them never waits
// for a disk.
type Writer struct {
	folder  *Folder
	log     *slog.Logger
	queue   chan shot
	dropped atomic.Uint64
}

// NewWriter writes to a folder once Run runs.
func NewWriter(folder *Folder, log *slog.Logger) *Writer {
	return &Writer{folder: folder, log: log, queue: make(chan shot, mostWaiting)}
}

// Put hands a picture over, which the caller does not use again. It does not wait:
// ErrBusy where too many wait already.
func (w *Writer) Put(camera, label string, at time.Time, jpeg []byte) error {
	select {
	case w.queue <- shot{camera, label, at, jpeg}:
		return nil
	default:
		return ErrBusy
	}
}

// Dropped counts the older pictures that made room for newer ones.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// Run writes until ctx ends, and then what still waits.
func (w *Writer) Run(ctx context.Context) {
	for {
		select {
		case s := <-w.queue:
			w.write(s)
		case <-ctx.Done():
			w.rest()
			return
		}
	}
}

func (w *Writer) rest() {
	for {
		select {
		case s := <-w.queue:
			w.write(s)
		default:
			return
		}
	}
}

func (w *Writer) write(s shot) {
	_, dropped, err := w.folder.Add(s.camera, s.label, s.at, s.jpeg)
	if err != nil {
		w.log.Warn("picture not kept", "camera", s.camera, "label", s.label, "err", err)
	}
	if dropped > 0 {
		all := w.dropped.Add(uint64(dropped))
		w.log.Warn("oldest pictures dropped for newer ones", "camera", s.camera, "dropped", dropped, "in_all", all)
	}
}
