package picture

import (
	"testing"

	"dynvit/camera"
)

// TestFormat: what pictures begin with, and what is not to be taken for one.
func TestFormat(t *testing.T) {
	bmp := func(size string) string {
		return "BM\x76\x02\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00" + size + "\x10\x00\x00\x00"
	}
	for data, want := range map[string]camera.Format{
		"\xff\xd8\xff\xe0": camera.JPEG, "\x89PNG\r\n\x1a\n": camera.PNG, "GIF87a": camera.GIF, "GIF89a\x01\x00": camera.GIF,
		"RIFF\x24\x00\x00\x00WEBPVP8 ": camera.WebP, "RIFF\x24\x00\x00\x00WAVEfmt ": 0, "RIFF": 0,
		"II*\x00\x08\x00\x00\x00": camera.TIFF, "MM\x00*\x00\x00\x00\x08": camera.TIFF, "II+\x00": 0, "MM": 0,
		bmp("\x28\x00\x00\x00"): camera.BMP, bmp("\x0c\x00\x00\x00"): camera.BMP, bmp("\x7c\x00\x00\x00"): camera.BMP, bmp("\x28\x01\x00\x00"): 0, "BM is how this text begins": 0, "BM": 0,
		"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic": camera.HEIC, "\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic": camera.HEIC, "\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1miafavif": camera.AVIF,
		"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1": camera.AVIF, "\x00\x00\x00\x20ftypavis": camera.AVIF, "\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00": camera.HEIC, "\x00\x00\x00\x18ftypheix": camera.HEIC,
		"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42": 0, "\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  ": 0, "\x00\x00\x00\x0cftyp": 0, "\xff\xff\xff\xffftyphe": 0, "\xff\xff\xff\xffftypheic": camera.HEIC, "": 0, "\xff": 0,
	} {
		if got := Format([]byte(data)); got != want {
			t.Errorf("%q: %v, want %v", data, got, want)
		}
	}
}
