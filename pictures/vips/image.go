// Package vips reads pictures by libvips, where the program is built with the tag vips,
// which needs cgo and libvips on the machine it is built and runs on: JPEG, which is shrunk
// as it is decoded, WebP and HEIC.
package vips

// Image is a picture: [Height, Width, Bands], where one band is grey.
type Image struct {
	Width, Height, Bands int
	Pix                  []byte
}

// Row writes a row's pixels from (x, y) on to dst, R, G and B.
func (m *Image) Row(dst []byte, x, y int) {
	src := m.Pix[m.Bands*(y*m.Width+x):]
	if m.Bands == 3 {
		copy(dst, src)
		return
	}
	for i := 0; i < len(dst)/3; i++ {
		dst[3*i], dst[3*i+1], dst[3*i+2] = src[i], src[i], src[i]
	}
}
