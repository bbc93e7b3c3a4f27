package picture

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"dynvit/camera"
)

// Format says what the bytes of a picture are, 0 if none that is read. Files lie about
// it in their names, and servers in their headers.
func Format(data []byte) camera.Format {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, SOI}):
		return camera.JPEG
	case bytes.HasPrefix(data, []byte("\x89PNG")):
		return camera.PNG
	case bytes.HasPrefix(data, []byte("RIFF")) && bytes.HasPrefix(data[min(8, len(data)):], []byte("WEBP")):
		return camera.WebP
	case bytes.HasPrefix(data, []byte("II*\x00")), bytes.HasPrefix(data, []byte("MM\x00*")):
		return camera.TIFF
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		return camera.GIF
	case isBMP(data):
		return camera.BMP
	}
	return heif(data)
}

// Enough is how many bytes of a picture Format needs, at most; of HEIC and AVIF it may be
// wrong about which of them it is.
const Enough = 18

// isBMP asks for more than the two letters that text may begin with: the header's
// length, which is one of a few.
func isBMP(data []byte) bool {
	const length = 14 // offset
	return bytes.HasPrefix(data, []byte("BM")) && len(data) >= length+4 && data[length] >= 12 && data[length] <= 124 && string(data[length+1:length+4]) == "\x00\x00\x00"
}

// heif reads the brands of a file of ISO's base format (ISO/IEC 14496-12, 4.3): those
// of films are not among them. What says no more than that it is HEIF is taken for HEIC.
func heif(data []byte) camera.Format {
	const head, major = 8, 12 // length and name of the first box, and what it is above all
	if len(data) < major || string(data[4:head]) != "ftyp" {
		return 0
	}
	size := int(binary.BigEndian.Uint32(data))
	brands := data[head:max(major, min(size, len(data), head+maxBrands))]
	found := camera.Format(0)
	for ; len(brands) >= 4; brands = brands[4:] {
		switch string(brands[:4]) {
		case "avif", "avis":
			return camera.AVIF
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1":
			found = camera.HEIC
		case "isom", "mp41", "mp42", "qt  ":
			if found == 0 {
				return 0
			}
		}
	}
	return found
}

// maxBrands bounds the brands that are looked at, in bytes.
const maxBrands = 256

// AppendFull reads n bytes behind dst, growing it as they come rather than by
// what a peer promises; io.ErrUnexpectedEOF if there are fewer.
func AppendFull(dst []byte, r io.Reader, n int) ([]byte, error) {
	const step = 1 << 20
	for n > 0 {
		dst = slices.Grow(dst, min(n, step))
		at := len(dst)
		take := min(n, cap(dst)-at)
		got, err := io.ReadFull(r, dst[at:at+take])
		dst = dst[:at+got]
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return dst, err
		}
		n -= take
	}
	return dst, nil
}

// Find finds mark in chunk, or the beginning of one at its end, which is not whole; -1
// where there is neither, or no mark.
func Find(chunk, mark []byte) (at int, whole bool) {
	if len(mark) == 0 {
		return -1, false
	}
	if at := bytes.Index(chunk, mark); at >= 0 {
		return at, true
	}
	for n := min(len(mark)-1, len(chunk)); n > 0; n-- {
		if bytes.HasSuffix(chunk, mark[:n]) {
			return len(chunk) - n, false
		}
	}
	return -1, false
}
