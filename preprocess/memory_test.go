package preprocess

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"runtime"
	"strings"
	"testing"

	"dynvit/camera"
	"dynvit/pictures"
)

// segment is a JPEG's segment with its marker.
func segment(mark byte, body ...byte) []byte {
	return append([]byte{0xff, mark, byte((len(body) + 2) >> 8), byte(len(body) + 2)}, body...)
}

// emptyJPEG is a grey picture of w×h: a header, and a scan of which each block takes
// two bits where the picture is baseline, one where it is progressive.
func emptyJPEG(w, h, components int, progressive, halved bool) []byte {
	d := append([]byte{0xff, 0xd8}, segment(0xdb, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...)...)
	sof, scan, luma := byte(0xc0), []byte{0, 63, 0}, byte(0x11)
	if progressive {
		sof, scan = 0xc2, []byte{0, 0, 0}
	}
	blocks := ((w + 7) / 8) * ((h + 7) / 8) * components
	if halved {
		luma = 0x22
	}
	frame := []byte{8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), byte(components)}
	head := []byte{byte(components)}
	for c := range components {
		sampling := byte(0x11)
		if c == 0 || c == 3 {
			sampling = luma
		}
		frame, head = append(frame, byte(c+1), sampling, 0), append(head, byte(c+1), 0)
	}
	d = append(d, segment(sof, frame...)...)
	one := append([]byte{1}, make([]byte, 15)...) // one code, of one bit
	d = append(d, segment(0xc4, append(append([]byte{0}, one...), 0)...)...)
	d = append(d, segment(0xc4, append(append([]byte{0x10}, one...), 0)...)...)
	d = append(d, segment(0xda, append(head, scan...)...)...)
	d = append(d, make([]byte, (2*blocks+7)/8)...)
	return append(d, 0xff, 0xd9)
}

// pngHead is a PNG's header alone.
func pngHead(w, h int, depth, colour, interlace byte) []byte {
	body := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), uint32(w)), uint32(h))
	body = append(body, depth, colour, 0, 0, interlace)
	d := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), body...)
	return append(binary.BigEndian.AppendUint32(d, crc32.ChecksumIEEE(body)), []byte("\x00\x00\x00\x00IDAT1234")...)
}

// TestTooMuchMemory: a picture within the limits of size whose decoding takes more than
// the limit of memory is refused before it takes any.
func TestTooMuchMemory(t *testing.T) {
	for name, f := range map[string]camera.Frame{
		"progressive":          {Format: camera.JPEG, Data: emptyJPEG(8192, 8192, 3, true, false)},
		"progressive, halved":  {Format: camera.JPEG, Data: emptyJPEG(8192, 8192, 3, true, true)},
		"progressive, grey":    {Format: camera.JPEG, Data: emptyJPEG(8192, 8192, 1, true, false)},
		"progressive, four":    {Format: camera.JPEG, Data: emptyJPEG(4096, 4096, 4, true, false)},
		"progressive, narrow":  {Format: camera.JPEG, Data: emptyJPEG(1024, 65535, 3, true, false)},
		"baseline":             {Format: camera.JPEG, Data: emptyJPEG(8192, 8192, 3, false, false)},
		"png of 16 bits":       {Format: camera.PNG, Data: pngHead(6000, 6000, 16, 2, 0)},
		"png of 8 bits":        {Format: camera.PNG, Data: pngHead(8192, 8192, 8, 6, 0)},
		"interlaced":           {Format: camera.PNG, Data: pngHead(5000, 5000, 8, 2, 1)},
		"interlaced, 16 bits":  {Format: camera.PNG, Data: pngHead(4096, 4096, 16, 4, 1)},
		"grey, 16 bits, large": {Format: camera.PNG, Data: pngHead(8192, 8192, 16, 0, 0)},
	} {
		var err error
		took := allocated(func() { err = newPreprocessor(t, deit).Decode(&f, Whole) })
		if err == nil || !strings.Contains(err.Error(), "MiB, the limit is 224") || took > 16<<20 {
			t.Errorf("%s: %v, %d MiB", name, err, took>>20)
		}
	}
}

// allocated is how many bytes do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestMemoryIsForeseen: what decoding takes is no more than is reckoned with, whatever
// the picture is.
func TestMemoryIsForeseen(t *testing.T) {
	const side = 1500
	encode := func(img image.Image) []byte {
		var b bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	all := image.Rect(0, 0, side, side)
	colour, wide, palette := image.NewNRGBA(all), image.NewNRGBA64(all), image.NewPaletted(all, color.Palette{color.Black})
	for name, f := range map[string]camera.Frame{
		"progressive":         {Format: camera.JPEG, Data: emptyJPEG(side, side, 3, true, false)},
		"progressive, halved": {Format: camera.JPEG, Data: emptyJPEG(side, side, 3, true, true)},
		"progressive, grey":   {Format: camera.JPEG, Data: emptyJPEG(side, side, 1, true, false)},
		"progressive, four":   {Format: camera.JPEG, Data: emptyJPEG(side, side, 4, true, false)},
		"baseline":            {Format: camera.JPEG, Data: emptyJPEG(side, side, 3, false, false)},
		"baseline, halved":    {Format: camera.JPEG, Data: emptyJPEG(side, side, 3, false, true)},
		"png":                 {Format: camera.PNG, Data: encode(colour)},
		"png of 16 bits":      {Format: camera.PNG, Data: encode(wide)},
		"png, palette":        {Format: camera.PNG, Data: encode(palette)},
		"png, grey":           {Format: camera.PNG, Data: encode(image.NewGray(all))},
		"png, grey, 16 bits":  {Format: camera.PNG, Data: encode(image.NewGray16(all))},
		"png, interlaced":     {Format: camera.PNG, Data: testdata(t, "rgb8_interlaced.png")},
	} {
		p := newPreprocessor(t, Spec{Size: 64, Std: deit.Std, Layout: Pixels}) // needs every pixel
		var err error
		took := allocated(func() { err = p.Decode(&f, Whole) })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		foreseen := int64(len(p.window.rgb))
		if pic, err := pictures.Open(f.Format, f.Data); err == nil {
			foreseen += pic.Bytes
		} else if h, err := readJPEGHeader(f.Data); err == nil && h.progressive {
			foreseen += h.library()
		} else {
			foreseen += h.own(f.Data, 1)
		}
		const slack = 1 << 20 // tables, rows, zlib's window
		if int64(took) > foreseen+foreseen/20+slack {
			t.Errorf("%s: takes %d KiB, foreseen %d", name, took>>10, foreseen>>10)
		}
	}
}

// TestShed: what a large picture took is not kept while the next one takes as much.
func TestShed(t *testing.T) {
	p := newPreprocessor(t, Spec{Size: 64, Std: deit.Std, Layout: Pixels})
	large := camera.Frame{Format: camera.JPEG, Data: emptyJPEG(4096, 4096, 3, false, false)}
	if err := p.Decode(&large, Whole); err != nil {
		t.Fatal(err)
	}
	if err := p.Decode(picture(t, "drawn_420.jpg"), Whole); err != nil {
		t.Fatal(err)
	}
	if held := p.jpeg.Held() + cap(p.window.rgb); held > 1<<20 {
		t.Errorf("%d KiB are held", held>>10)
	}
}
