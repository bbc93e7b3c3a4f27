package mqtttest

import (
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"dynvit/mqtt/spool"
)

// DiskFault is how a Disk misbehaves. The zero DiskFault is a good disk.
type DiskFault struct {
	Absent   bool          // Open fails: the folder cannot be made
	ReadOnly bool          // nothing can be changed
	Full     bool          // it takes Room bytes more
	Room     int           //
	NoSync   bool          // syncing a file fails
	NoRead   string        // the file of this name cannot be read
	Slow     time.Duration // for each write and sync
	Hang     chan struct{} // writes wait until it is closed
}

// Disk is a folder in memory that misbehaves on command, and that knows what a
// loss of power would leave of it. Its methods may be called from any goroutine.
type Disk struct {
	mu      sync.Mutex
	fault   DiskFault
	files   map[string]*diskFile
	removed map[string]*diskFile // since the last Sync
	writes  int
	syncs   int
}

// diskFile is a file: what a program sees of it, and what is sure to be there
// after a loss of power.
type diskFile struct {
	data   []byte
	synced int  // bytes of data that are on the disk for good
	listed bool // its name is on the disk for good
}

// NewDisk returns an empty folder.
func NewDisk() *Disk {
	return &Disk{files: map[string]*diskFile{}, removed: map[string]*diskFile{}}
}

// Open is what mqtt.Options.OpenDisk wants.
func (d *Disk) Open() (spool.Disk, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault.Absent {
		return nil, &fs.PathError{Op: "mkdir", Path: "/disk", Err: syscall.ENOENT}
	}
	return d, nil
}

// Set changes how the disk behaves.
func (d *Disk) Set(f DiskFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

// Effort is how often something was written and how often a file was synced.
func (d *Disk) Effort() (writes, syncs int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes, d.syncs
}

// Size is the bytes and the number of all files.
func (d *Disk) Size() (bytes, files int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		bytes += len(f.data)
	}
	return bytes, len(d.files)
}

// Killed is a copy of the disk as the next process finds it when this one is
// killed: all that was written.
func (d *Disk) Killed() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := NewDisk()
	for name, f := range d.files {
		n.put(name, f.data)
	}
	return n
}

// put adds a file that is there for good.
func (d *Disk) put(name string, data []byte) {
	d.files[name] = &diskFile{slices.Clone(data), len(data), true}
}

// Put makes a file of that content.
func (d *Disk) Put(name string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(name, data)
}

// Content is a copy of all files.
func (d *Disk) Content() map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	files := map[string][]byte{}
	for name, f := range d.files {
		files[name] = slices.Clone(f.data)
	}
	return files
}

// PowerLost is a copy of the disk as a loss of power may leave it: what was
// synced, and of everything else any part, damaged or not, as chance decides.
func (d *Disk) PowerLost(chance *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := NewDisk()
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		if f := d.files[name]; f.listed || chance.IntN(2) == 0 {
			n.put(name, remains(f, chance))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.removed)) {
		if f := d.removed[name]; f.listed && n.files[name] == nil && chance.IntN(2) == 0 {
			n.put(name, remains(f, chance))
		}
	}
	return n
}

// remains cuts off a part of what was not synced, or spoils it: file systems
// show zeros or another file's bytes where a block was not written in time.
func remains(f *diskFile, chance *rand.Rand) []byte {
	rest := len(f.data) - f.synced
	data := slices.Clone(f.data[:f.synced+chance.IntN(rest+1)])
	if fresh := data[f.synced:]; len(fresh) > 0 {
		from := chance.IntN(len(fresh))
		switch chance.IntN(3) {
		case 0:
			clear(fresh[from:])
		case 1:
			for i := range fresh[from:] {
				fresh[from+i] = byte(chance.Uint32())
			}
		}
	}
	return data
}

// List is of spool.Disk, as are the methods below.
func (d *Disk) List() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.files)), nil
}

func (d *Disk) Read(name string, limit int64) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	}
	if name == d.fault.NoRead {
		return nil, &fs.PathError{Op: "read", Path: name, Err: syscall.EIO}
	}
	return slices.Clone(f.data[:min(int64(len(f.data)), limit)]), nil
}

func (d *Disk) Create(name string) (spool.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.fault.Absent:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	case d.fault.ReadOnly:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EROFS}
	case d.files[name] != nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EEXIST}
	}
	f := &diskFile{}
	d.files[name] = f
	return &openFile{d, f}, nil
}

func (d *Disk) Append(name string) (spool.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch f := d.files[name]; {
	case f == nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	case d.fault.ReadOnly:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EROFS}
	default:
		return &openFile{d, f}, nil
	}
}

func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch f := d.files[name]; {
	case f == nil:
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOENT}
	case d.fault.ReadOnly:
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.EROFS}
	default:
		d.removed[name] = f
		delete(d.files, name)
		return nil
	}
}

func (d *Disk) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.removed)
	for _, f := range d.files {
		f.listed = true
	}
	return nil
}

func (d *Disk) Close() error { return nil }

// openFile is a file being written.
type openFile struct {
	disk *Disk
	*diskFile
}

// wait does what takes time, outside the lock.
func (d *Disk) wait() DiskFault {
	d.mu.Lock()
	fault := d.fault
	d.mu.Unlock()
	time.Sleep(fault.Slow)
	if fault.Hang != nil {
		<-fault.Hang
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fault
}

func (f *openFile) Write(p []byte) (int, error) {
	fault := f.disk.wait()
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.writes++
	if fault.ReadOnly {
		return 0, syscall.EROFS
	}
	n := len(p)
	if fault.Full {
		n = min(n, fault.Room)
		f.disk.fault.Room -= n
	}
	f.data = append(f.data, p[:n]...)
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (f *openFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.fault.ReadOnly || size > int64(len(f.data)) {
		return syscall.EROFS
	}
	f.data = f.data[:size]
	f.synced = min(f.synced, int(size))
	return nil
}

var errSync = errors.New("input/output error")

func (f *openFile) Sync() error {
	fault := f.disk.wait()
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.syncs++
	if fault.NoSync {
		return errSync
	}
	f.synced = len(f.data)
	return nil
}

func (f *openFile) Close() error { return nil }
