package mqtt

import (
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

// keeper is the goroutine between a client's outbox and the disk, which may be
// slow, full, read-only or gone: nobody else waits for it, and it never drops an
// event. What is not on disk it tries again to put there.
type keeper struct {
	client *Client
	open   func() (spool.Disk, error)
	log    *slog.Logger
	wake   chan struct{} // holds one: the ledger has something new
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

func newKeeper(c *Client, open func() (spool.Disk, error)) *keeper {
	return &keeper{
		client: c, open: open, log: c.log,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
}

// rouse tells the keeper that the ledger has changed. A nil keeper sleeps on.
func (k *keeper) rouse() {
	if k == nil {
		return
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) run() {
	defer close(k.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(k.turn(time.Now()))
		select {
		case <-k.wake:
		case <-timer.C:
		case <-k.quit:
			k.err = k.finish()
			return
		}
	}
}

// end lets the goroutine put all on disk and waits for it, a moment long: a
// disk that hangs cannot be waited for.
func (k *keeper) end() error {
	if k == nil {
		return nil
	}
	k.once.Do(func() { close(k.quit) })
	timer := time.NewTimer(diskGrace)
	defer timer.Stop()
	select {
	case <-k.done:
		return k.err
	case <-timer.C:
		return k.leave()
	}
}

// leave gives up a disk that does not answer. What was written outlives the
// process, synced or not.
func (k *keeper) leave() error {
	c := k.client
	c.mu.Lock()
	n := c.outbox.ledger.since(c.written)
	c.mu.Unlock()
	if n > 0 {
		return fmt.Errorf("mqtt: close: the disk does not answer: %d events may be lost", n)
	}
	k.log.Warn("mqtt: close: the disk is slow, not waited for")
	return nil
}

// turn does what is due and returns how long to sleep at most.
func (k *keeper) turn(now time.Time) time.Duration {
	if k.away && now.Before(k.retry) {
		return k.retry.Sub(now)
	}
	if err := k.work(now); err != nil {
		k.failed(err)
		k.retry = now.Add(diskRetry)
		return diskRetry
	}
	k.works()
	return k.untilDue(now)
}

func (k *keeper) work(now time.Time) error {
	if k.spool == nil {
		if err := k.load(now); err != nil {
			return err
		}
	}
	// First: it makes room on a full disk.
	if err := k.spool.Trim(k.oldest()); err != nil {
		return err
	}
	if err := k.store(now); err != nil {
		return err
	}
	if k.away {
		return k.sync() // only then is it known to work
	}
	if due(k.syncDue, now) && !k.unsafe() {
		k.settled() // acknowledged in time
	}
	if due(k.syncDue, now) || due(k.doneDue, now) {
		return k.sync()
	}
	return nil
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func (k *keeper) untilDue(now time.Time) time.Duration {
	wait := time.Hour
	for _, at := range []time.Time{k.syncDue, k.doneDue} {
		if !at.IsZero() {
			wait = min(wait, at.Sub(now))
		}
	}
	return max(wait, 0)
}

// load opens the folder and puts what it holds before what was put since.
func (k *keeper) load(now time.Time) error {
	disk, err := k.open()
	if err != nil {
		return err
	}
	log, old, err := spool.Open(disk, spool.SystemClock())
	if err != nil {
		return errors.Join(err, disk.Close())
	}
	k.spool, k.unsynced = log, nil
	if len(old.Messages) > 0 || old.Cut > 0 {
		k.log.Info("mqtt: outbox read from disk", "events", len(old.Messages), "damaged_bytes", old.Cut)
	}
	for _, err := range old.Faults {
		k.log.Warn("mqtt: part of the outbox cannot be read", "err", err)
	}
	c := k.client
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outbox.restore(old.Messages, old.Next)
	c.written = old.Next
	c.synced = c.outbox.ledger.first()
	c.outbox.loading = false
	if c.synced < old.Next {
		k.syncDue = now.Add(syncWindow)
	}
	c.nudge()
	return nil
}

func (k *keeper) oldest() uint64 {
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	return k.client.outbox.ledger.first()
}

// store writes all that the disk does not know.
func (k *keeper) store(now time.Time) error {
	for k.pending() {
		if err := k.spool.Begin(); err != nil {
			return err
		}
		from, to, done := k.gather()
		if err := k.spool.Write(); err != nil {
			k.takeBack(from, done)
			return err
		}
		k.wrote(to)
		if from < to && k.syncDue.IsZero() {
			k.syncDue = now.Add(syncWindow)
		}
		for _, s := range done {
			k.unsynced = spool.AppendSpan(k.unsynced, s)
			if s.First < k.synced() && k.doneDue.IsZero() {
				k.doneDue = now.Add(doneWindow)
			}
		}
	}
	return nil
}

func (k *keeper) pending() bool {
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	return k.client.outbox.ledger.pending()
}

// gather makes a batch of what the ledger has for the disk: the events of the
// numbers from, inclusive, to to, and done.
func (k *keeper) gather() (from, to uint64, done []spool.Span) {
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	l := &k.client.outbox.ledger
	from = l.handed
	done = l.handOver(k.spool, batchSize)
	return from, l.handed, done
}

func (k *keeper) takeBack(from uint64, done []spool.Span) {
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	k.client.written = min(k.client.written, from)
	k.client.outbox.ledger.takeBack(from, done)
}

// wrote notes that events below a number are in the file system's hands.
func (k *keeper) wrote(to uint64) {
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	k.client.written = to
}

func (k *keeper) synced() uint64 {
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	return k.client.synced
}

// unsafe reports whether there are events that were written and not synced.
func (k *keeper) unsafe() bool {
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	e := k.client.outbox.ledger.from(k.client.synced)
	return e != nil && e.seq < k.client.outbox.ledger.handed
}

func (k *keeper) sync() error {
	if err := k.spool.Sync(); err != nil {
		return err
	}
	k.unsynced, k.doneDue = nil, time.Time{}
	k.settled()
	return nil
}

// settled notes that all events that were handed over are on the disk or gone.
func (k *keeper) settled() {
	k.syncDue = time.Time{}
	k.client.mu.Lock()
	defer k.client.mu.Unlock()
	k.client.synced = k.client.outbox.ledger.handed
}

// failed turns to memory alone, with one warning.
func (k *keeper) failed(err error) {
	if k.spool != nil {
		k.salvage(errors.Is(err, fs.ErrNotExist))
	}
	c := k.client
	c.mu.Lock()
	c.outbox.loading = false // no older events will come soon
	c.diskError = err.Error()
	c.nudge()
	c.mu.Unlock()
	level := slog.LevelWarn
	if k.away {
		level = slog.LevelDebug
	}
	k.away = true
	k.log.Log(c.ctx, level, "mqtt: outbox: the disk fails, events are kept in memory alone until it works", "err", c.diskError)
}

// salvage takes back what cannot be on the disk; gone says that the folder is.
func (k *keeper) salvage(gone bool) {
	if !k.spool.Broken() && !gone && k.sync() == nil {
		return
	}
	from := k.synced()
	k.syncDue, k.doneDue = time.Time{}, time.Time{}
	if gone {
		from = 0
		k.client.distrust()
		k.spool.Close(false) // its error would say that the folder is gone
		k.spool = nil
	}
	k.takeBack(from, k.unsynced)
	k.unsynced = nil
}

// distrust notes that nothing is on the disk.
func (c *Client) distrust() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.synced = 0
}

// works ends an outage.
func (k *keeper) works() {
	if !k.away {
		return
	}
	k.away = false
	c := k.client
	c.mu.Lock()
	c.diskError = ""
	events := c.outbox.ledger.load.messages
	c.mu.Unlock()
	k.log.Info("mqtt: outbox: the disk works again, events are kept on it", "events", events)
}

// finish puts all on disk and closes the folder. The error tells how many events
// are lost with the process.
func (k *keeper) finish() error {
	err := k.work(time.Now())
	switch {
	case err == nil:
		err = k.sync()
	case k.spool != nil:
		k.salvage(errors.Is(err, fs.ErrNotExist))
	}
	c := k.client
	c.mu.Lock()
	events, lost := c.outbox.ledger.load.messages, c.outbox.ledger.since(c.synced)
	c.mu.Unlock()
	if k.spool != nil {
		err = errors.Join(err, k.spool.Close(events == 0))
	}
	switch {
	case lost > 0:
		return fmt.Errorf("mqtt: close: %d events are lost: %w", lost, err)
	case events > 0:
		k.log.Info("mqtt: events wait on disk for the next start", "events", events)
	}
	return nil
}
