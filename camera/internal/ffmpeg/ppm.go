package ffmpeg

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"dynvit/camera"
	"dynvit/camera/internal/picture"
)

// ReadPPM reads one binary PPM of 8 bits (netpbm's P6) without comments into f:
// format, size and data. io.EOF stands only before the first byte.
func ReadPPM(r *bufio.Reader, f *camera.Frame) error {
	var magic [2]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return err
	}
	if string(magic[:]) != "P6" {
		return fmt.Errorf("ppm: begins with %q, want P6", magic)
	}
	var fields [3]int // width, height, largest value
	if err := readPPMHeader(r, &fields); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	w, h, top := fields[0], fields[1], fields[2]
	if w < 1 || h < 1 || w > camera.MaxSide || h > camera.MaxSide || top != 255 {
		return fmt.Errorf("ppm: %d×%d up to %d: want up to %d×%d, 255", w, h, top, camera.MaxSide, camera.MaxSide)
	}
	f.Format, f.Width, f.Height = camera.RGB24, w, h
	var err error
	f.Data, err = picture.AppendFull(f.Data[:0], r, 3*w*h)
	return err
}

// readPPMHeader reads numbers, each behind one white space or more, and the one
// white space before the pixels.
func readPPMHeader(r *bufio.Reader, fields *[3]int) error {
	b, err := r.ReadByte()
	for i := range fields {
		if err == nil && !isSpace(b) {
			return errors.New("ppm: header without spaces")
		}
		for err == nil && isSpace(b) {
			b, err = r.ReadByte()
		}
		for err == nil && '0' <= b && b <= '9' {
			if fields[i] = 10*fields[i] + int(b-'0'); fields[i] > 1<<20 {
				return errors.New("ppm: number too large")
			}
			b, err = r.ReadByte()
		}
	}
	if err == nil && !isSpace(b) {
		return errors.New("ppm: header without end")
	}
	return err
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' }
