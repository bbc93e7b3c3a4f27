package backends

// PixelFormat says how the pixels of a frame lie in memory: rows from the top, w pixels by
// h, chroma of BT.601's limited range, repeated for the pixels that share it.
type PixelFormat uint8

const (
	RGB  PixelFormat = iota // [h, w, 3]
	Grey                    // [h, w]
	YUYV                    // [h, ⌈w/2⌉, 4]: Y, U, Y, V
	NV12                    // [h, w] Y, then [⌈h/2⌉, ⌈w/2⌉, 2] U, V
	I420                    // [h, w] Y, then [⌈h/2⌉, ⌈w/2⌉] U, then as many V
)

// Bytes is the size of a frame of w×h pixels.
func (f PixelFormat) Bytes(w, h int) int {
	half := (w + 1) / 2
	switch f {
	case Grey:
		return w * h
	case YUYV:
		return 4 * half * h
	case NV12, I420:
		return w*h + 2*half*((h+1)/2)
	}
	return 3 * w * h
}

// Pixels are a frame's, and the first that is looked at.
type Pixels struct {
	Data          []byte // Format.Bytes(Width, Height), or more
	Format        PixelFormat
	Width, Height int // of the frame
	X, Y          int
}

// Pass is a resize along one axis in fixed point with 22 fractional bits: a half is added
// before they are dropped, and what comes out is clamped to a byte.
type Pass struct {
	Pad, Out int        // black pixels of the input before the first that is made, and how many are made
	Taps     [][3]int32 // [Out]: the first pixel of those needed, how many, index of their first weight
	Weights  []int32
}

// Resize is how Width×Height pixels of a frame become a model's input of Size×Size:
// as RGB along one axis, rounded to bytes, and along the other; a byte v of channel c is then
// Table[c][v] (package preprocess).
type Resize struct {
	Width, Height int
	Across, Down  Pass
	DownFirst     bool
	Size          int
	Patch         int // the side of a patch: the input is [patches, 3·Patch²], in raster order, one channel after another; 0: [Size², 3]
	Table         *[3][256]float32
}

// Resizer is the optional ability to make a model's input of a frame on the device, so
// that the processor is free to decode the next one.
type Resizer interface {
	// PrepareResize sets aside what a Resize needs until the Backend is closed. It belongs
	// to loading: once for each size of frame.
	PrepareResize(Resize) (Resizing, error)
	// Resize writes to dst, of by.Len() numbers, what the Width×Height pixels of from become.
	// from.Data may be reused after the next Download. Where a frame is larger than any before
	// it, memory is allocated.
	Resize(dst Tensor, from Pixels, by Resizing)
}

// Resizing is a Resize that one Backend has prepared.
type Resizing interface {
	Len() int // of the input: 3·Size²
}
