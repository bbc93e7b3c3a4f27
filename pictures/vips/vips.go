//go:build vips

package vips

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/davidbyttow/govips/v2/vips"
)

// Linked reports whether the program is built with the tag vips.
const Linked = true

// start has libvips keep nothing of a picture that is done with, and say nothing.
var start = sync.OnceFunc(func() {
	vips.LoggingSettings(func(string, vips.LogLevel, string) {}, vips.LogLevelError)
	vips.Startup(&vips.Config{MaxCacheFiles: 1, MaxCacheMem: 1, MaxCacheSize: 1})
})

// Load decodes a picture of three channels or one of 8 bits, a JPEG at 1/shrink of its
// size, rounded up.
func Load(data []byte, shrink int) (*Image, error) {
	start()
	p := parameters()
	if shrink > 1 {
		p.JpegShrinkFactor.Set(shrink)
	}
	img, err := vips.LoadImageFromBuffer(data, p)
	return taken(img, err)
}

// LoadSmall decodes a picture at the size given, a WebP by averages as it is decoded. It is turned
// as it says, which must be not at all.
func LoadSmall(data []byte, width, height int) (*Image, error) {
	start()
	img, err := vips.LoadThumbnailFromBuffer(data, width, height, vips.InterestingNone, vips.SizeForce, parameters())
	return taken(img, err)
}

func parameters() *vips.ImportParams {
	p := vips.NewImportParams()
	p.FailOnError.Set(true)
	return p
}

// taken is a picture in memory of our own.
func taken(img *vips.ImageRef, err error) (*Image, error) {
	if err != nil {
		return nil, fmt.Errorf("libvips: %s", firstLine(err))
	}
	defer img.Close()
	if img.BandFormat() != vips.BandFormatUchar {
		return nil, errKind
	}
	if img.Bands() > 3 {
		if err := img.ExtractBand(0, 3); err != nil {
			return nil, fmt.Errorf("libvips: %s", firstLine(err))
		}
	}
	if n := img.Bands(); n != 1 && n != 3 {
		return nil, errKind
	}
	pix, err := img.ToBytes()
	if err != nil {
		return nil, fmt.Errorf("libvips: %s", firstLine(err))
	}
	return &Image{Width: img.Width(), Height: img.Height(), Bands: img.Bands(), Pix: pix}, nil
}

var errKind = errors.New("libvips: neither grey nor colours of 8 bits")

// firstLine is an error without the stack that govips adds.
func firstLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return line
}
