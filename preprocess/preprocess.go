// Package preprocess turns a camera's frame into a model's input: decode,
// cut the region out, resize, crop, normalise, straight into the patch matrix.
//
// What comes out equals what the models were trained and evaluated with, to the
// bit for raw pixels and PNG: Pillow's convert('RGB'), then torchvision's
// Resize(256, bicubic, antialias) and CenterCrop(224) on a PIL image, ToTensor
// and Normalize. JPEG goes through Go's decoder, whose inverse DCT may differ from
// libjpeg-turbo's by a level; upsampling and colour conversion are libjpeg's.
package preprocess

import (
	"fmt"
	"math"

	"dynvit/camera"
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
	Filter Filter     // Bicubic unless the model says otherwise
	Mean   [3]float32 // of R, G, B on a scale of 0 to 1
	Std    [3]float32
	Patch  int // P, side of a patch in pixels; Patches layout only
	Layout Layout
}

// Region is the part of a picture to look at, as fractions of its width and
// height: X0 < X1, Y0 < Y1, all within 0 to 1.
type Region struct{ X0, Y0, X1, Y1 float64 }

// Whole is the whole picture.
var Whole = Region{0, 0, 1, 1}

// Check reports a region that is empty or outside the picture.
func (r Region) Check() error {
	if !(r.X0 >= 0 && r.X0 < r.X1 && r.X1 <= 1 && r.Y0 >= 0 && r.Y0 < r.Y1 && r.Y1 <= 1) {
		return fmt.Errorf("region [%v, %v, %v, %v]: want x0 < x1 and y0 < y1, all from 0 to 1", r.X0, r.Y0, r.X1, r.Y1)
	}
	return nil
}

// box is a rectangle in pixels, x1 and y1 excluded.
type box struct{ x0, y0, x1, y1 int }

// pixels rounds a region to whole pixels, at least one.
func (r Region) pixels(w, h int) box {
	x0, x1 := span(r.X0, r.X1, w)
	y0, y1 := span(r.Y0, r.Y1, h)
	return box{x0, y0, x1, y1}
}

func span(from, to float64, n int) (int, int) {
	a := min(int(math.Round(from*float64(n))), n-1)
	return a, max(a+1, int(math.Round(to*float64(n))))
}

// Preprocessor holds the buffers and tables of one input size after another: the
// tables are rebuilt when the picture's size changes, else nothing is allocated.
// One goroutine uses it at a time.
type Preprocessor struct {
	spec Spec
	lut  [3][256]float32 // (v/255 - mean)/std by channel

	width, height int // of rgb
	rgb           []byte
	plan          plan
	rows          []byte  // [plan rows, plan columns, 3] after the horizontal pass
	chroma        []byte  // scratch: a row of Cb and one of Cr
	sum           []int32 // scratch of the vertical pass
	out           []byte  // [S, S, 3] resized and cropped
}

// New prepares for a model.
func New(s Spec) (*Preprocessor, error) {
	if s.Size < 1 || s.Size > 4096 || s.Resize < 0 || s.Resize > 16384 {
		return nil, fmt.Errorf("preprocess: size %d, resize %d make no sense", s.Size, s.Resize)
	}
	if s.Layout == Patches && (s.Patch < 1 || s.Size%s.Patch != 0) {
		return nil, fmt.Errorf("preprocess: size %d is not a multiple of patch %d", s.Size, s.Patch)
	}
	p := &Preprocessor{spec: s, out: make([]byte, 3*s.Size*s.Size)}
	for c := range p.lut {
		if !(s.Std[c] > 0) {
			return nil, fmt.Errorf("preprocess: std %v: want above 0", s.Std)
		}
		for v := range p.lut[c] {
			unit := float32(v) / 255
			p.lut[c][v] = float32(unit-s.Mean[c]) / s.Std[c]
		}
	}
	return p, nil
}

// Len is the number of elements of the input.
func (p *Preprocessor) Len() int { return 3 * p.spec.Size * p.spec.Size }

// Do decodes and renders one frame into dst (Len elements).
func (p *Preprocessor) Do(dst []float32, f *camera.Frame, r Region) error {
	if err := p.Decode(f, r); err != nil {
		return err
	}
	p.Render(dst)
	return nil
}

// Render resizes, crops and normalises the pixels in hand into dst (Len
// elements).
func (p *Preprocessor) Render(dst []float32) {
	if len(dst) != p.Len() {
		panic(fmt.Sprintf("preprocess: Render: %d elements for an input of %d", len(dst), p.Len()))
	}
	p.resize()
	if p.spec.Layout == Pixels {
		p.writePixels(dst)
	} else {
		p.writePatches(dst)
	}
}

// RGB is the picture that the last Render showed the model: S×S pixels, 3 bytes
// each. It is overwritten by the next.
func (p *Preprocessor) RGB() []byte { return p.out }

func (p *Preprocessor) writePixels(dst []float32) {
	for i := 0; i < len(dst); i += 3 {
		dst[i] = p.lut[0][p.out[i]]
		dst[i+1] = p.lut[1][p.out[i+1]]
		dst[i+2] = p.lut[2][p.out[i+2]]
	}
}

func (p *Preprocessor) writePatches(dst []float32) {
	s, side := p.spec.Size, p.spec.Patch
	grid, area := s/side, side*side
	for y := range s {
		row := p.out[3*y*s : 3*(y+1)*s]
		for px := range grid {
			patch := dst[((y/side)*grid+px)*3*area:][:3*area]
			at := (y % side) * side
			for x, line := 0, row[3*px*side:]; x < side; x++ {
				patch[at+x] = p.lut[0][line[3*x]]
				patch[area+at+x] = p.lut[1][line[3*x+1]]
				patch[2*area+at+x] = p.lut[2][line[3*x+2]]
			}
		}
	}
}
