// Package preprocess turns a camera's frame into a model's input: decode,
// cut the region out, resize, crop, normalise, straight into the patch matrix.
//
// What comes out is what models are trained and evaluated with: Pillow's
// Image.convert('RGB'), torchvision's Resize(256, bicubic) and CenterCrop(224) of
// that picture, ToTensor and Normalize. From PNG and raw pixels it is equal to the
// bit with Pillow 13.0.0, and so it is from baseline JPEG, unless Spec.Scaled asks for
// less. (Pillow before 13 resizes some tall pictures in the other order, see downFirst,
// a level apart in some pixels.) From the
// JPEGs that image/jpeg decodes (progressive ones) it differs by what its inverse
// DCT differs from libjpeg-turbo's: a pixel in fifty, by a level or two (TestJPEG
// holds the bounds).
//
// A frame takes two steps. [Preprocessor.Decode] brings the pixels into hand,
// only those that the crop will need. [Preprocessor.Render] resizes them in two
// passes of 8-bit fixed point, as Pillow does, and normalises by table.
package preprocess

import (
	"errors"
	"fmt"

	"dynvit/camera"
	"dynvit/preprocess/baseline"
)

// Layout is the order of a model's input.
type Layout uint8

const (
	// Patches is [N, 3·P·P]: a row is a patch in raster order, its columns go by
	// channel, row, column, as timm's patch_embed.proj.weight is flattened.
	Patches Layout = iota
	// Pixels is [S·S, 3], channels last, for LV-ViT's convolutional stem.
	Pixels
)

// Spec is what a model wants of its input.
type Spec struct {
	Size   int        // S, side of the square input in pixels
	Resize int        // short side before the centre crop; 0: warp to S×S, no crop
	Squash bool       // both sides become Resize, whatever the picture's shape
	Filter Filter     // Bicubic unless the model says otherwise
	Mean   [3]float32 // of R, G, B on a scale of 0 to 1
	Std    [3]float32 // above 0
	Patch  int        // P, side of a patch in pixels, divides S; Patches layout only
	Layout Layout

	// FloorCrop rounds the pixels that the centre crop leaves at the left and above
	// down, as transformers' image processors do, instead of halves to even.
	FloorCrop bool

	// Scaled lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size where its
	// region then still has the pixels that the resize wants. It saves half of the
	// decoding of a large picture, and gives a slightly smoother one than Pillow.
	Scaled bool

	// AsStored leaves pictures as their files have them, whatever their Exif says: so
	// torchvision reads data sets.
	AsStored bool
}

// The largest sizes that a Spec may ask for; models in use stay below 600.
const (
	maxSize   = 4096
	maxResize = 16384
)

func (s Spec) check() error {
	if s.Size < 1 || s.Size > maxSize {
		return fmt.Errorf("input of %d pixels: want 1 to %d", s.Size, maxSize)
	}
	if s.Resize < 0 || s.Resize > maxResize {
		return fmt.Errorf("resize to %d pixels: want 0 to %d", s.Resize, maxResize)
	}
	if s.Filter > Bilinear || s.Layout > Pixels {
		return fmt.Errorf("filter %d, layout %d: not known", s.Filter, s.Layout)
	}
	if s.Layout == Patches && (s.Patch < 1 || s.Size%s.Patch != 0) {
		return fmt.Errorf("input of %d pixels: not a multiple of patch %d", s.Size, s.Patch)
	}
	for _, v := range s.Std {
		if !(v > 0) {
			return fmt.Errorf("std %v: want numbers above 0", s.Std)
		}
	}
	return nil
}

// Preprocessor holds a model's tables and the buffers of the frame in hand.
// Nothing is allocated for a frame of a size seen before, except inside the
// decoders of JPEG and PNG. One goroutine uses it at a time.
type Preprocessor struct {
	spec  Spec
	norm  normaliser
	plans plans

	window window // pixels in hand
	turned []byte // as large as the window's pixels, where a picture had to be turned
	jpeg   baseline.Decoder
	from   []plane // of a JPEG
	lines  scratch // of the decoders
	left   int64   // bytes that a decoder of the library took for the last picture
	rows   []byte  // between the two passes: [window's rows, plan.x.out, 3], or [plan.y.out, window's columns, 3]
	pairs  []int64 // scratch of the horizontal pass: two rows of the window
	band   []byte  // scratch of the horizontal pass: some rows, transposed
	sums   []int32 // scratch of the vertical pass: a row of the output
	out    []byte  // [S, S, 3]: resized and cropped
	watch  watch
}

// New prepares for a model.
func New(s Spec) (*Preprocessor, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("preprocess: %w", err)
	}
	return &Preprocessor{spec: s, norm: newNormaliser(s.Mean, s.Std), out: make([]byte, 3*s.Size*s.Size)}, nil
}

// Len is the number of elements of the input: 3·S·S in either layout.
func (p *Preprocessor) Len() int { return len(p.out) }

// Do decodes a frame and renders the region r of it into dst, which has Len
// elements. An error leaves dst as it was.
func (p *Preprocessor) Do(dst []float32, f *camera.Frame, r Region) error {
	if err := p.Decode(f, r); err != nil {
		return err
	}
	p.Render(dst)
	return nil
}

// Render resizes, crops and normalises the pixels in hand into dst, which has
// Len elements. It panics where dst has another length, or where there are no
// pixels because the last Decode failed.
func (p *Preprocessor) Render(dst []float32) {
	if len(dst) != p.Len() {
		panic(fmt.Sprintf("preprocess: Render: %d elements for an input of %d", len(dst), p.Len()))
	}
	p.window.need("Render")
	p.window.convert()
	p.resize()
	switch p.spec.Layout {
	case Pixels:
		p.norm.pixels(dst, p.out)
	case Patches:
		p.norm.patches(dst, p.out, p.spec.Size, p.spec.Patch)
	}
}

// Size is the width and height of the picture whose pixels are in hand; an error
// where the last Decode failed.
func (p *Preprocessor) Size() (w, h int, err error) {
	if p.window.plan == nil {
		return 0, 0, errors.New("preprocess: no pixels in hand")
	}
	return p.window.width, p.window.height, nil
}

// Damaged reports whether the picture in hand lacks a part of what was encoded and is
// shown all the same, as libjpeg does: a JPEG without an end of image, or of which some
// restart intervals are lost.
func (p *Preprocessor) Damaged() bool { return p.window.damaged }

// RGB is the picture that the last Render showed to the model: [S, S, 3], rows
// from the top, R, G, B. The next Render overwrites it.
func (p *Preprocessor) RGB() []byte { return p.out }
