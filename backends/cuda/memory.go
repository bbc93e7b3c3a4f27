package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"dynvit/backends"
	"dynvit/backends/cuda/device"
)

// elementBytes is the size of what tensors and indices are made of.
const elementBytes = 4

// The stage is as large as the largest tensor, within these bounds, so that a frame's
// input goes in one copy without a wait: DeiT's 224 pixels take 602 kB, 384 take 1.8 MB.
const leastStage, mostStage = 1 << 20, 8 << 20

// alloc returns memory of the device; 0 bytes are some, too.
func (b *backend) alloc(bytes int) (device.Address, error) {
	at, err := b.dev.Alloc(max(bytes, elementBytes))
	return at, ofMemory(bytes, err)
}

// ofMemory is the error of setting bytes aside.
func ofMemory(bytes int, err error) error {
	var failed *device.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed) && failed.NoMemory():
		return fmt.Errorf("cuda: %w: %d bytes: %w", backends.ErrNoMemory, bytes, err)
	}
	return fmt.Errorf("cuda: %d bytes: %w", bytes, err)
}

// cleared is alloc, of zeros.
func (b *backend) cleared(bytes int) (device.Address, error) {
	at, err := b.alloc(bytes)
	if err != nil {
		return 0, err
	}
	b.queued(b.dev.Clear(at, max(bytes, elementBytes)))
	return at, b.takeLost()
}

func (b *backend) growStage(bytes int) (err error) {
	bytes = min(max(bytes, leastStage), mostStage)
	if bytes <= len(b.stage) {
		return nil
	}
	stage, err := b.dev.Host(bytes)
	if err == nil {
		b.stage, b.staged = stage, 0 // copies from the old one may go on: it stays
	}
	return ofMemory(bytes, err)
}

func (b *backend) Alloc(rows, cols int) (backends.Tensor, error) {
	need("Alloc", rows >= 0 && cols >= 0, "negative size")
	bytes := rows * cols * elementBytes
	if err := b.growStage(bytes); err != nil {
		return backends.Tensor{}, err
	}
	at, err := b.cleared(bytes)
	return backends.Tensor{Rows: rows, Cols: cols, Dev: uint64(at)}, err
}

func (b *backend) AllocIndex(n int) (backends.Index, error) {
	need("AllocIndex", n >= 0, "negative size")
	at, err := b.cleared(n * elementBytes)
	return backends.Index{N: n, Dev: uint64(at)}, err
}

// bytesOf are the bytes of numbers.
func bytesOf[T float32 | int32](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(*new(T))))
}

func (b *backend) Upload(dst backends.Tensor, src []float32) {
	need("Upload", len(src) == dst.Rows*dst.Cols, "length differs")
	b.upload(device.Address(dst.Dev), bytesOf(src))
}

func (b *backend) UploadIndex(dst backends.Index, src []int32) {
	need("UploadIndex", len(src) == dst.N, "length differs")
	b.upload(device.Address(dst.Dev), bytesOf(src))
}

// upload copies by way of the stage. It waits only where the stage is full, which takes
// more uploads between two downloads than a frame has.
func (b *backend) upload(to device.Address, src []byte) {
	need("Upload", b.tape == nil, "while recording")
	for len(src) > 0 && b.lost == nil {
		if b.staged == len(b.stage) {
			b.wait()
		}
		part := b.stage[b.staged:]
		n := copy(part, src)
		b.queued(b.dev.CopyIn(to, part[:n]))
		b.staged += n
		to, src = to+device.Address(n), src[n:]
	}
}

// wait waits for the device, which then has copied all of the stage.
func (b *backend) wait() {
	b.queued(b.dev.Wait())
	b.staged = 0
}

func (b *backend) Download(dst []float32, src backends.Tensor) error {
	need("Download", len(dst) == src.Rows*src.Cols, "length differs")
	return b.download(bytesOf(dst), device.Address(src.Dev))
}

func (b *backend) DownloadIndex(dst []int32, src backends.Index) error {
	need("DownloadIndex", len(dst) == src.N, "length differs")
	return b.download(bytesOf(dst), device.Address(src.Dev))
}

func (b *backend) download(dst []byte, from device.Address) error {
	need("Download", b.tape == nil, "while recording")
	for first := true; first || len(dst) > 0; first = false {
		if b.lost != nil {
			break
		}
		n := min(len(dst), len(b.answers)-wordBytes)
		b.queued(b.dev.CopyOut(b.answers[:wordBytes], b.badRow))
		if n > 0 {
			b.queued(b.dev.CopyOut(b.answers[wordBytes:][:n], from))
		}
		b.wait()
		if b.err != nil {
			break
		}
		b.takeBadRow()
		copy(dst, b.answers[wordBytes:][:n])
		from, dst = from+device.Address(n), dst[n:]
	}
	return b.takeError()
}

// scratch is memory for what lies between two kernels. It grows, and what a recording
// was made with stays until the backend is closed.
type scratch struct {
	at    device.Address
	bytes int
}

func (b *backend) reserve(s *scratch, bytes int) error {
	if bytes <= s.bytes {
		return nil
	}
	at, err := b.alloc(bytes)
	if err == nil {
		*s = scratch{at, bytes}
	}
	return err
}

// use is reserve where a frame needs more than was set aside.
func (b *backend) use(s *scratch, bytes int) device.Address {
	if bytes > s.bytes {
		b.queued(b.reserve(s, bytes))
	}
	return s.at
}
