package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"dynvit/mqtt/spool"
)

const (
	// syncWindow is how long an event may be in the file system's memory alone.
	// Events of one window share one fsync, and those that the broker has
	// acknowledged by its end need none: a box whose broker is there does not
	// wear its SD card by syncing.
	syncWindow = 100 * time.Millisecond
	// doneWindow is the same for acknowledgements of events that were synced. To
	// lose them costs duplicates, no events.
	doneWindow = 5 * time.Second

	diskRetry    = 10 * time.Second // between attempts on a disk that failed
	loadPatience = 10 * time.Second // events wait so long for older ones to be read
	diskGrace    = 500 * time.Millisecond
	batchSize    = 256 << 10 // bytes copied at a time while publishers wait
)

// persister is the goroutine between an outbox and the disk, which may be slow,
// full, read-only or gone: nobody else waits for it, and it never drops an event.
// What is not on disk it tries again to put there.
type persister struct {
	outbox *outbox
	open   func() (spool.Disk, error)
	log    *slog.Logger
	quit   chan struct{} // closed by end
	once   sync.Once
	done   chan struct{} // closed when the goroutine has ended
	err    error         // the outcome, valid then

	// Of the goroutine.
	spool            *spool.Log   // nil: not open
	away             bool         // the disk failed and has not worked since
	retry            time.Time    // then
	unsynced         []spool.Span // done records written since the last sync
	syncDue, doneDue time.Time    // zero: nothing to sync
}

func newPersister(o *outbox, open func() (spool.Disk, error), log *slog.Logger) *persister {
	return &persister{outbox: o, open: open, log: log, quit: make(chan struct{}), done: make(chan struct{})}
}

func (p *persister) run() {
	defer close(p.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(p.turn(time.Now()))
		select {
		case <-p.outbox.chore:
		case <-timer.C:
		case <-p.quit:
			p.err = p.finish()
			return
		}
	}
}

// end lets the goroutine put all on disk and waits for it, a moment long: a
// disk that hangs cannot be waited for. A nil persister has nothing to end.
func (p *persister) end() error {
	if p == nil {
		return nil
	}
	p.once.Do(func() { close(p.quit) })
	timer := time.NewTimer(diskGrace)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.err
	case <-timer.C:
		return p.leave()
	}
}

// leave gives up a disk that does not answer. What was written outlives the
// process, synced or not.
func (p *persister) leave() error {
	if _, n, _ := p.outbox.left(); n > 0 {
		return fmt.Errorf("mqtt: close: the disk does not answer: %d events may be lost", n)
	}
	p.log.Warn("mqtt: close: the disk is slow, not waited for")
	return nil
}

// turn does what is due and returns how long to sleep at most.
func (p *persister) turn(now time.Time) time.Duration {
	if p.away && now.Before(p.retry) {
		return p.retry.Sub(now)
	}
	if err := p.work(now); err != nil {
		p.failed(err)
		p.retry = now.Add(diskRetry)
		return diskRetry
	}
	p.works()
	return p.untilDue(now)
}

func (p *persister) work(now time.Time) error {
	if p.spool == nil {
		if err := p.load(now); err != nil {
			return err
		}
	}
	// First: it makes room on a full disk.
	if err := p.spool.Trim(p.outbox.oldest()); err != nil {
		return err
	}
	if err := p.store(now); err != nil {
		return err
	}
	if p.away {
		return p.sync() // only then is it known to work
	}
	if due(p.syncDue, now) && !p.outbox.unsettled() {
		p.settled() // acknowledged in time
	}
	if due(p.syncDue, now) || due(p.doneDue, now) {
		return p.sync()
	}
	return nil
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func (p *persister) untilDue(now time.Time) time.Duration {
	wait := time.Hour
	for _, at := range []time.Time{p.syncDue, p.doneDue} {
		if !at.IsZero() {
			wait = min(wait, at.Sub(now))
		}
	}
	return max(wait, 0)
}

// load opens the folder and puts what it holds before what was put since.
func (p *persister) load(now time.Time) error {
	disk, err := p.open()
	if err != nil {
		return err
	}
	log, old, err := spool.Open(disk, spool.SystemClock())
	if err != nil {
		return errors.Join(err, disk.Close())
	}
	p.spool, p.unsynced = log, nil
	if len(old.Messages) > 0 || old.Cut > 0 {
		p.log.Info("mqtt: outbox read from disk", "events", len(old.Messages), "damaged_bytes", old.Cut)
	}
	for _, err := range old.Faults {
		p.log.Warn("mqtt: part of the outbox cannot be read", "err", err)
	}
	if p.outbox.restore(old.Messages, old.Next) {
		p.syncDue = now.Add(syncWindow)
	}
	return nil
}

// store writes all that the disk does not know.
func (p *persister) store(now time.Time) error {
	for p.outbox.unstored() {
		if err := p.spool.Begin(); err != nil {
			return err
		}
		batch := p.outbox.handOver(p.spool, batchSize)
		if err := p.spool.Write(); err != nil {
			p.outbox.takeBack(batch)
			return err
		}
		p.outbox.wrote(batch)
		if batch.from < batch.to && p.syncDue.IsZero() {
			p.syncDue = now.Add(syncWindow)
		}
		for _, s := range batch.done {
			p.unsynced = spool.AppendSpan(p.unsynced, s)
			if p.doneDue.IsZero() && p.outbox.isSynced(s.First) {
				p.doneDue = now.Add(doneWindow)
			}
		}
	}
	return nil
}

func (p *persister) sync() error {
	if err := p.spool.Sync(); err != nil {
		return err
	}
	p.unsynced, p.doneDue = nil, time.Time{}
	p.settled()
	return nil
}

func (p *persister) settled() {
	p.syncDue = time.Time{}
	p.outbox.settled()
}

// failed turns to memory alone, with one warning.
func (p *persister) failed(err error) {
	if p.spool != nil {
		p.salvage(errors.Is(err, fs.ErrNotExist))
	}
	p.outbox.diskFails(err.Error())
	level := slog.LevelWarn
	if p.away {
		level = slog.LevelDebug
	}
	p.away = true
	p.log.Log(context.Background(), level, "mqtt: outbox: the disk fails, events are kept in memory alone until it works", "err", err.Error())
}

// salvage takes back what cannot be on the disk; gone says that the folder is.
func (p *persister) salvage(gone bool) {
	if !p.spool.Broken() && !gone && p.sync() == nil {
		return
	}
	p.syncDue, p.doneDue = time.Time{}, time.Time{}
	if gone {
		p.spool.Close(false) // its error would say that the folder is gone
		p.spool = nil
	}
	p.outbox.takeBackUnsynced(p.unsynced, gone)
	p.unsynced = nil
}

// works ends an outage.
func (p *persister) works() {
	if !p.away {
		return
	}
	p.away = false
	p.outbox.diskWorks()
	events, _, _ := p.outbox.left()
	p.log.Info("mqtt: outbox: the disk works again, events are kept on it", "events", events)
}

// finish puts all on disk and closes the folder. The error tells how many events
// are lost with the process.
func (p *persister) finish() error {
	err := p.work(time.Now())
	switch {
	case err == nil:
		err = p.sync()
	case p.spool != nil:
		p.salvage(errors.Is(err, fs.ErrNotExist))
	}
	events, _, lost := p.outbox.left()
	if p.spool != nil {
		err = errors.Join(err, p.spool.Close(events == 0))
	}
	switch {
	case lost > 0:
		return fmt.Errorf("mqtt: close: %d events are lost: %w", lost, err)
	case events > 0:
		p.log.Info("mqtt: events wait on disk for the next start", "events", events)
	}
	return nil
}
