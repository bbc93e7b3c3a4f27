package download

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"dynvit/atomicfile"
)

// partial is the part of a file that has come, with its checksum so far. It is
// locked against other processes.
type partial struct {
	file *os.File
	size int64
	sum  hash.Hash
	head [64]byte // first bytes
	gone bool     // renamed or removed
}

func newHash() hash.Hash { return sha256.New() }

// openPartial takes up what an earlier call left, or begins with nothing.
func openPartial(path string) (*partial, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, err
	}
	p := &partial{file: file, sum: newHash()}
	if !ours(file, path) {
		return nil, errors.Join(fmt.Errorf("%s: another process is fetching it", path), file.Close())
	}
	if p.size, err = io.Copy(p, file); err == nil {
		return p, nil
	}
	return nil, errors.Join(fmt.Errorf("read %w", err), file.Close())
}

// ours locks a file, and sees that path still names it: the process that held the
// lock before may have renamed it.
func ours(file *os.File, path string) bool {
	if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	locked, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(locked, named)
}

// Write takes over bytes that are in the file already.
func (p *partial) Write(b []byte) (int, error) {
	p.note(b)
	p.size += int64(len(b))
	return p.sum.Write(b)
}

// note keeps the first bytes.
func (p *partial) note(b []byte) {
	if p.size < int64(len(p.head)) {
		copy(p.head[p.size:], b)
	}
}

// add appends bytes to the file.
func (p *partial) add(b []byte) error {
	n, err := p.file.WriteAt(b, p.size)
	p.Write(b[:n]) // never fails
	return err
}

// reset begins again with nothing.
func (p *partial) reset() error {
	p.size = 0
	p.sum.Reset()
	return p.file.Truncate(0)
}

// text reports whether the content is a page instead of data.
func (p *partial) text() bool {
	head := bytes.TrimSpace(p.head[:min(p.size, int64(len(p.head)))])
	return bytes.HasPrefix(head, []byte("<")) || bytes.HasPrefix(head, []byte("{"))
}

// remove deletes the file.
func (p *partial) remove() error {
	p.gone = true
	return os.Remove(p.file.Name())
}

// becomes gives the file its name.
func (p *partial) becomes(path string) error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(p.file.Name(), path); err != nil {
		return err
	}
	p.gone = true
	return atomicfile.SyncDir(filepath.Dir(path))
}

// close lets others at the file; an empty one is not worth keeping.
func (p *partial) close() {
	if p.size == 0 && !p.gone {
		p.remove() // if that fails it is taken up the next time
	}
	p.file.Close() // synced where it matters
}
