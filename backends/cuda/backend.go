package cuda

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"dynvit/backends"
	"dynvit/backends/cuda/device"
	"dynvit/backends/cuda/kernels"
)

// backend implements backends.Backend, Fuser, Merger, Recorder and Resizer on a device.
type backend struct {
	dev     device.Device
	target  kernels.Target
	entries [entries]device.Kernel

	stage   []byte // page-locked: what Upload copies from
	staged  int    // bytes of it in use until the next wait
	answers []byte // page-locked: what Download copies to, behind the error word

	badRow device.Address // error word: row<<32 | 1 (Gather) or 2 (Merge), or 0
	shares scratch        // attention's, for scores
	qkv    scratch        // of SelfAttention
	hidden scratch        // of MLP
	ranges scratch        // least and most of hidden's rows
	match  scratch        // Match's

	frame  scratch // of Resize: the frame as it came
	passed scratch // of Resize: what lies between its passes

	next step  // that is being put together
	tape *tape // of the recording that is being made, or nil
	recs []*recording
	err  error // first failure since the last download, or nil
	lost error // why nothing more comes of the device
	done bool  // closed
}

// answerBytes is how much a download brings at once: the error word and the logits of
// 4,000 classes. Larger ones, in tests, take several waits.
const answerBytes = 16 << 10

// New makes the backend on a device, which it then owns: Close closes it, and so does a
// New that fails. An error that wraps backends.ErrUnavailable says why the device does not
// serve.
func New(dev device.Device) (backends.Backend, error) {
	b := &backend{dev: dev}
	if err := b.prepare(); err != nil {
		dev.Close() // what it says of being left is no news
		return nil, fmt.Errorf("%w: %s: %w", backends.ErrUnavailable, describe(dev.Facts()), err)
	}
	return b, nil
}

// prepare loads the kernels and sets aside what every frame needs.
func (b *backend) prepare() (err error) {
	f := b.dev.Facts()
	var served bool
	if b.target, served = kernels.For(f.Major, f.Minor); !served {
		return errors.New("no kernels for its compute capability: want 5.3 or later")
	}
	for _, family := range kernels.Families() {
		if err := b.dev.Load(string(b.target.PTX(family))); err != nil {
			return fmt.Errorf("kernels for %s, family %s: %w", b.target.Name, family, err)
		}
	}
	for i, name := range names {
		if entry(i).needs(b.target) {
			if b.entries[i], err = b.dev.Kernel(name); err != nil {
				return err
			}
		}
	}
	if b.answers, err = b.dev.Host(answerBytes); err != nil {
		return err
	}
	if b.badRow, err = b.cleared(wordBytes); err != nil {
		return err
	}
	return b.growStage(leastStage)
}

// describe is a device in one line.
func describe(f device.Facts) string {
	return fmt.Sprintf("%s, compute capability %d.%d, %d processors at %d MHz, driver for CUDA %d.%d, %.1f GB",
		f.Name, f.Major, f.Minor, f.Processors, f.ClockMHz, f.Driver/1000, f.Driver%1000/10, float64(f.Memory)/1e9)
}

func (b *backend) Facts() backends.Facts {
	return backends.Facts{
		Name: backends.CUDA, Precisions: slices.Clone(b.target.Precisions),
		Why: "kernels for " + b.target.Name, Device: describe(b.dev.Facts()),
	}
}

// Close frees the recordings, then the device with all memory. It returns what has not
// been told; what a lost device says of being left is no news.
func (b *backend) Close() error {
	if b.done {
		return nil
	}
	b.done = true
	for len(b.recs) > 0 {
		b.recs[0].Close()
	}
	err := b.dev.Close()
	if b.lost != nil {
		return b.err
	}
	return errors.Join(b.err, err)
}

// need panics where a shape does not fit.
func need(method string, ok bool, what string) {
	if !ok {
		panic("cuda: " + method + ": " + what)
	}
}

// note keeps the first failure until the next download.
func (b *backend) note(err error) {
	if b.err == nil {
		b.err = err
	}
}

// queued takes what queueing something returned. After a failure what the device's memory
// holds is anyone's guess, whether its context keeps the error or not: it is lost.
func (b *backend) queued(err error) {
	if err != nil && b.lost == nil {
		b.lost = fmt.Errorf("cuda: %w: %w", backends.ErrLost, err)
		b.note(b.lost)
	}
}

// takeError returns the first failure since it was last called, or why the device is lost.
func (b *backend) takeError() error {
	err := b.err
	b.err = nil
	if b.lost != nil {
		return b.lost
	}
	return err
}

// takeLost is takeError for what is not a frame, where other failures wait for a download.
func (b *backend) takeLost() error {
	if b.lost == nil {
		return nil
	}
	return b.takeError()
}

// wordBytes is the size of the error word.
const wordBytes = 8

// takeBadRow reads the error word that a download brought.
func (b *backend) takeBadRow() {
	word := binary.LittleEndian.Uint64(b.answers)
	if word == 0 {
		return
	}
	method := "Gather"
	if uint32(word) == 2 {
		method = "Merge"
	}
	b.note(fmt.Errorf("cuda: %s: row %d is out of range", method, int32(word>>32)))
	b.queued(b.dev.Clear(b.badRow, wordBytes))
}
