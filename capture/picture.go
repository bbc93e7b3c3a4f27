package capture

import (
	"bytes"
	"fmt"

	"dynvit/camera"
	saved "dynvit/pictures"
	"dynvit/preprocess"
)

// maxPicture bounds a picture in bytes; a camera's JPEG of 4K has 2 MB.
const maxPicture = 8 << 20

// JPEG is the region of a frame as it is looked at, cut out and turned as Exif says. A
// whole JPEG stays as it is, Exif and all.
func JPEG(f *camera.Frame, region preprocess.Region) ([]byte, error) {
	if region != preprocess.Whole {
		var cut camera.Frame
		if err := preprocess.Cut(&cut, f, region); err != nil {
			return nil, err
		}
		f = &cut
	}
	var b bytes.Buffer
	if err := saved.EncodeJPEG(&b, f); err != nil {
		return nil, err
	}
	if b.Len() > maxPicture {
		return nil, fmt.Errorf("picture of %d bytes: want at most %d", b.Len(), maxPicture)
	}
	return b.Bytes(), nil
}
