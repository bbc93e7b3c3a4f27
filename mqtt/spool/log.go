package spool

import (
	"errors"
	"io/fs"
	"slices"
	"time"
)

// segmentSize is the bytes after which a new segment is begun.
const segmentSize = 1 << 20

// Log appends to a folder. Begin, any number of Message and Done, and Write
// make a batch; Sync makes all written batches last. Message and Done only copy
// into memory. It belongs to one goroutine at a time.
type Log struct {
	disk     Disk
	clock    Clock
	segments []segment // the oldest first; the last one may be open
	number   uint64    // of the newest segment there ever was
	file     File      // of the last segment; nil: the next Begin makes one
	seed     uint32    // of its records
	batch    []byte
	newest   uint64 // highest Seq of the batch
	clean    bool   // the last segment is an earlier process's, and may be appended to
	broken   bool   // the file cannot be trusted any more
	renamed  bool   // files were made or removed since the folder was last synced
}

// Begin prepares for a batch: it makes a segment where there is none to append
// to.
func (l *Log) Begin() error {
	l.batch, l.newest = l.batch[:0], 0
	if l.broken {
		l.abandon()
	}
	if l.file != nil && l.current().size >= segmentSize {
		if err := l.seal(); err != nil {
			return err
		}
	}
	if l.file != nil {
		return nil
	}
	if l.clean {
		l.clean = false
		return l.resume()
	}
	return l.create()
}

// resume opens the newest segment of an earlier process, which ended with a
// whole record.
func (l *Log) resume() error {
	file, err := l.disk.Append(l.current().name)
	if err != nil {
		return err
	}
	l.file, l.renamed = file, true // by a process that was killed before it synced the folder, perhaps
	return nil
}

func (l *Log) current() *segment { return &l.segments[len(l.segments)-1] }

// create makes a segment; its header goes out with the first batch.
func (l *Log) create() error {
	name := segmentName(l.number + 1)
	file, err := l.disk.Create(name)
	if err != nil {
		return err
	}
	l.number++
	l.file, l.renamed = file, true
	l.segments = append(l.segments, segment{name: name, number: l.number})
	l.batch, l.seed = appendHeader(l.batch, header{number: l.number, boot: l.clock.Boot})
	return nil
}

// seal syncs the open segment and closes it: the next batch begins another.
func (l *Log) seal() error {
	if l.file == nil {
		return nil
	}
	if err := l.Sync(); err != nil {
		return err
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// abandon gives up a segment that cannot be trusted. Nothing of it counted
// unless a Sync said so.
func (l *Log) abandon() {
	l.broken = false
	if l.file == nil {
		return
	}
	l.file.Close() // it failed before
	l.file = nil
	if s := l.current(); !s.synced && l.disk.Remove(s.name) == nil {
		l.segments = l.segments[:len(l.segments)-1]
	}
}

// Message adds a message to the batch.
func (l *Log) Message(seq uint64, at time.Time, topic string, payload []byte) {
	m := Message{Seq: seq, Topic: topic, Payload: payload}
	l.batch = appendMessage(l.batch, l.seed, &m, l.clock.stamp(at))
	l.newest = max(l.newest, seq)
}

// Done adds to the batch that messages are not wanted any more.
func (l *Log) Done(s Span) { l.batch = appendDone(l.batch, l.seed, s) }

// Buffered is the size of the batch in bytes.
func (l *Log) Buffered() int { return len(l.batch) }

// Write hands the batch to the file system, where a killed process does not
// take it along. After an error nothing of the batch counts.
func (l *Log) Write() error {
	s := l.current()
	n, err := l.file.Write(l.batch)
	if err != nil {
		// What was written in part must not come before what follows.
		l.broken = s.size == 0 || n > 0 && l.file.Truncate(s.size) != nil
		return err
	}
	s.size += int64(n)
	s.last = max(s.last, l.newest)
	return nil
}

// Sync puts what was written onto the disk. After an error nothing counts that
// was written since the last Sync without one.
func (l *Log) Sync() error {
	if l.clean && l.file == nil {
		l.clean = false // what a killed process wrote need not be on the disk yet
		if err := l.resume(); err != nil {
			return err
		}
	}
	if l.file == nil || l.broken {
		return nil
	}
	err := l.file.Sync()
	if err == nil && l.renamed {
		err = l.disk.Sync()
	}
	if err != nil {
		l.broken = true // the kernel may have dropped the pages that it could not write
		return err
	}
	l.renamed, l.current().synced = false, true
	return nil
}

// Broken reports that the open segment is given up: what was written to it since
// the last Sync does not count.
func (l *Log) Broken() bool { return l.broken }

// Trim removes the segments at the old end of the log without a message from
// oldest on. The one being written stays.
func (l *Log) Trim(oldest uint64) error {
	n := 0
	for n < len(l.segments) && l.segments[n].last < oldest && !l.isOpen(n) {
		n++
	}
	return l.remove(n)
}

func (l *Log) isOpen(i int) bool { return (l.file != nil || l.clean) && i == len(l.segments)-1 }

// remove removes the oldest n segments, each for good before the next: its done
// records are about older ones.
func (l *Log) remove(n int) error {
	for range n {
		err := l.disk.Remove(l.segments[0].name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		l.segments = slices.Delete(l.segments, 0, 1)
		if err := l.disk.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the log, and removes it where empty says that no message is wanted.
// What was not synced may be lost.
func (l *Log) Close(empty bool) error {
	var err error
	if l.file != nil {
		err = l.file.Close()
		l.file = nil
	}
	if empty && err == nil {
		err = l.remove(len(l.segments))
	}
	return errors.Join(err, l.disk.Close())
}
