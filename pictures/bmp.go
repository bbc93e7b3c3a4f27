package pictures

import (
	"bytes"

	"golang.org/x/image/bmp"
)

func openBMP(data []byte) (*Picture, error) {
	c, err := bmp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	p := &Picture{Width: c.Width, Height: c.Height, Bytes: 4 * int64(c.Width) * int64(c.Height)} // one a pixel where there is a palette
	p.decode = func() (Rows, error) {
		img, err := bmp.Decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return rowsOf(img)
	}
	return p, nil
}
