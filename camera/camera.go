// Package camera is the border to what pictures come from. A [Source] is a dumb
// blocking reader of one camera, folder, film or test scene; whoever owns it
// reopens it when it fails (with back-off), drops what comes too fast, and decides
// when it has stalled. A [Frame] holds the bytes as the source read them: decoding
// is package preprocess's work, after the mailbox, so that a dropped frame costs
// nothing.
//
// A source is named by a URI. Each kind of them is a [Scheme] in a folder of its
// own (drawn, files, v4l2, web, rtsp, sensor, command), which reads its URIs,
// shows them without secrets and opens them; camera/all lists them, and
// cameratest holds every source to the contract. What several schemes need is in
// camera/internal. This package imports none of them.
package camera

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"dynvit/camera/trust"
)

// Format says what a Frame's Data holds.
type Format uint8

const (
	JPEG  Format = iota + 1
	PNG          // any PNG
	YUYV         // 4:2:2 packed, Width even, 2 bytes a pixel; BT.601, limited range
	NV12         // 4:2:0, Y plane then interleaved UV; BT.601, limited range
	I420         // 4:2:0, Y, U, V planes; BT.601, limited range
	RGB24        // R, G, B, 3 bytes a pixel
	GREY         // one byte a pixel
	WebP         // lossy or lossless; of an animation the first picture, as of those below
	TIFF
	BMP
	GIF
	HEIC // HEIF with HEVC in it, as telephones write
	AVIF
)

func (f Format) String() string {
	switch f {
	case JPEG:
		return "jpeg"
	case PNG:
		return "png"
	case YUYV:
		return "yuyv"
	case NV12:
		return "nv12"
	case I420:
		return "i420"
	case RGB24:
		return "rgb24"
	case GREY:
		return "grey"
	case WebP:
		return "webp"
	case TIFF:
		return "tiff"
	case BMP:
		return "bmp"
	case GIF:
		return "gif"
	case HEIC:
		return "heic"
	case AVIF:
		return "avif"
	}
	return "unknown"
}

// Bytes is the size of a raw frame of w×h pixels, rows packed; 0 for formats of files. Of
// an odd side the last chroma sample covers one pixel alone.
func (f Format) Bytes(w, h int) int {
	half := (w + 1) / 2
	switch f {
	case RGB24:
		return 3 * w * h
	case GREY:
		return w * h
	case YUYV:
		return 4 * half * h
	case NV12, I420:
		return w*h + 2*half*((h+1)/2)
	}
	return 0
}

// Frame is one picture as it came. The caller of Next owns the Frame and its
// memory; sources write into Data's capacity and grow it only when they must.
// Rows are packed without padding.
type Frame struct {
	Format        Format
	Width, Height int    // pixels; 0 where the source does not know (formats of files)
	Data          []byte // the raw bytes
	Seq           uint64 // counts up by one for each frame the source saw, from 1
	Captured      time.Time
	Name          string // file the picture came from, if any
}

// MaxSide bounds a frame's width and height in pixels: no camera is larger.
const MaxSide = 8192

// ErrClosed is what Next returns once Close was called.
var ErrClosed = errors.New("camera: source closed")

// LostError is why a source broke, with how many frames it saw and could not hand
// over since the last that it did.
type LostError struct {
	Frames uint64
	Err    error
}

func (e *LostError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *LostError) Unwrap() error { return e.Err }

// Source reads frames.
//
// Next blocks until a picture newer than the last is there and fills f. It
// returns io.EOF at the end of a finite source, ctx's error when ctx ends,
// ErrClosed after Close, and any other error when the source is broken: the
// owner then closes it and may open it anew. A picture that is damaged is the
// decoder's problem, not an error here. Captured carries a monotonic reading.
//
// Close unblocks Next, waits for every goroutine and child process of the
// source, and may be called twice and while Next runs.
type Source interface {
	Next(ctx context.Context, f *Frame) error
	Close() error
}

// Options are what an owner tells every source.
type Options struct {
	// ShortSide is the short side in pixels that the model's resize wants; sources that
	// can scale (film decoders, cameras with a choice of sizes) deliver no
	// smaller than that and not much larger. 0: unknown, deliver as is.
	ShortSide int
	// Stall is how long a source may wait for its peer (child process, HTTP
	// body) before Next fails. 0: 10 s.
	Stall time.Duration
	// Trust says which certificate a network camera may show.
	Trust trust.Trust
	// Log takes what child processes write to their standard error, without
	// credentials and only so much of it. nil: nothing is logged.
	Log *slog.Logger
}

// StallLimit is Stall, or what it is where none is set.
func (o Options) StallLimit() time.Duration {
	if o.Stall > 0 {
		return o.Stall
	}
	return 10 * time.Second
}
