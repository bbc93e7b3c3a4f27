package preprocess

import (
	"fmt"
	"runtime/debug"
)

// maxBytes bounds what decoding one picture takes beside the frame itself, in bytes:
// pixels don't tell it, of which a JPEG's take 1.5 to 20 bytes and a PNG's 1 to 16.
const maxBytes = 224 << 20

// afford reports that decoding would take too much.
func afford(bytes int64) error {
	if bytes > maxBytes {
		return fmt.Errorf("decoding it takes %d MiB, the limit is %d", bytes>>20, maxBytes>>20)
	}
	return nil
}

// keepBytes is how much memory of one picture is kept for the next.
const keepBytes = 64 << 20

// shed gives back what the last picture took, if that was much, before another one
// takes as much again.
func (p *Preprocessor) shed() {
	held := p.left + int64(p.jpeg.Held()+cap(p.window.rgb)+cap(p.turned))
	p.left = 0
	if held <= keepBytes {
		return
	}
	p.jpeg.Release()
	p.window, p.turned, p.from = window{}, nil, nil
	debug.FreeOSMemory()
}

// own is what package baseline takes for a picture at 1/scale of its size, in bytes.
func (h jpegHeader) own(data []byte, scale int) int64 {
	return int64(len(data))*5/4 + h.samples()/int64(scale*scale)
}

// library is what image/jpeg takes, in bytes, with what is made of four components:
// the coefficients of a progressive picture have 4 bytes each.
func (h jpegHeader) library() int64 {
	n := h.samples()
	if h.progressive {
		n *= 5
	}
	if h.colours == jpegCMYK || h.colours == jpegYCCK {
		n += 4*h.pixels() + h.samples()
	}
	return n
}

func (h jpegHeader) pixels() int64 { return int64(h.width) * int64(h.height) }

// samples is how many all components have.
func (h jpegHeader) samples() int64 { return h.pixels() * int64(h.share[0]) / int64(h.share[1]) }
