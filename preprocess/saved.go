package preprocess

import (
	"fmt"

	"dynvit/camera"
	"dynvit/pictures"
)

// decodeSaved reads the pictures that package pictures does.
func (p *Preprocessor) decodeSaved(f *camera.Frame, r Region) (window, error) {
	pic, err := pictures.Open(f.Format, f.Data)
	if err != nil {
		return window{}, fmt.Errorf("%v: %w", f.Format, err)
	}
	turn := pic.Turn
	if !pic.Always {
		turn = p.heeded(turn)
	}
	w, err := p.aim(pic.Width, pic.Height, turn, r, pic.Bytes)
	if err != nil {
		return w, fmt.Errorf("%v of %d×%d: %w", f.Format, pic.Width, pic.Height, err)
	}
	p.left = pic.Bytes
	defer pic.Close()
	rows, err := pic.Decode()
	if err != nil {
		return w, fmt.Errorf("%v of %d×%d: %w", f.Format, pic.Width, pic.Height, err)
	}
	for i := range w.box.height() {
		rows(w.row(i), w.box.x0, w.box.y0+i)
	}
	return w, nil
}
