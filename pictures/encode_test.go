package pictures

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"strings"
	"testing"

	"dynvit/camera"
	"dynvit/exif"
)

// TestEncodeJPEGTurned: what a PNG says of how it is to be turned, a snapshot says too.
func TestEncodeJPEGTurned(t *testing.T) {
	data, err := os.ReadFile("../preprocess/testdata/exif_6.png")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := EncodeJPEG(&b, &camera.Frame{Format: camera.PNG, Data: data}); err != nil {
		t.Fatal(err)
	}
	if want := exif.Segment(6); !bytes.HasPrefix(b.Bytes()[2:], want) {
		t.Errorf("begins with %x, want %x behind the start of image", b.Bytes()[:40], want)
	}
	if _, err := jpeg.Decode(&b); err != nil {
		t.Error(err)
	}
}

// TestEncodeJPEGIsBounded: a PNG that would take too much memory is refused by its
// header.
func TestEncodeJPEGIsBounded(t *testing.T) {
	for _, head := range []string{
		"\x00\x00\x20\x00\x00\x00\x20\x00\x10\x06\x00\x00\x00", // 8192×8192, 16 bits, with alpha
		"\x00\x00\x20\x00\x00\x00\x0e\x08\x08\x02\x00\x00\x01", // 8192×3592, interlaced
		"\x00\x00\x20\x00\x00\x00\x1d\x00\x08\x00\x00\x00\x00", // 8192×7424, of grey
	} {
		data := binary.BigEndian.AppendUint32([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"+head), crc32.ChecksumIEEE([]byte("IHDR"+head)))
		data = append(data, "\x00\x00\x00\x00IDAT"...)
		err := EncodeJPEG(io.Discard, &camera.Frame{Format: camera.PNG, Data: data})
		if err == nil || !strings.Contains(err.Error(), "takes more than 224 MiB") {
			t.Error(err)
		}
	}
}

// TestEncodeJPEG: colours and sizes, odd ones too, survive in every format. The
// frame's left half is red, its right half blue, as BT.601 has them.
func TestEncodeJPEG(t *testing.T) {
	for _, size := range []image.Point{{64, 48}, {62, 45}, {33, 17}} {
		for _, format := range []camera.Format{camera.YUYV, camera.NV12, camera.I420, camera.RGB24, camera.PNG, camera.GREY} {
			if format == camera.YUYV && size.X%2 == 1 {
				continue
			}
			f := halves(format, size.X, size.Y)
			var b bytes.Buffer
			if err := EncodeJPEG(&b, &f); err != nil {
				t.Errorf("%v: %v", format, err)
				continue
			}
			img, err := jpeg.Decode(&b)
			if err != nil || img.Bounds() != image.Rect(0, 0, size.X, size.Y) {
				t.Errorf("%v: %v", format, err)
				continue
			}
			for x, want := range map[int]color.RGBA{size.X / 4: {255, 0, 0, 255}, size.X - 4: {0, 0, 255, 255}} {
				got := color.RGBAModel.Convert(img.At(x, size.Y/2)).(color.RGBA)
				if format == camera.GREY {
					want = color.RGBA{77, 77, 77, 255}
				}
				if apart(got.R, want.R) > 12 || apart(got.G, want.G) > 12 || apart(got.B, want.B) > 12 {
					t.Errorf("%v %v: at %d %v, want %v", format, size, x, got, want)
				}
			}
		}
	}
}

func apart(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }

func halves(format camera.Format, w, h int) camera.Frame {
	f := camera.Frame{Format: format, Width: w, Height: h}
	type yuv struct{ y, u, v byte }
	at := func(x int) yuv { // limited range
		if x < w/2 {
			return yuv{81, 90, 240}
		}
		return yuv{41, 240, 110}
	}
	half, low := (w+1)/2, (h+1)/2
	switch format {
	case camera.GREY:
		f.Data = bytes.Repeat([]byte{77}, w*h)
	case camera.RGB24, camera.PNG:
		img := image.NewRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				c := color.RGBA{255, 0, 0, 255}
				if x >= w/2 {
					c = color.RGBA{0, 0, 255, 255}
				}
				img.SetRGBA(x, y, c)
				f.Data = append(f.Data, c.R, c.G, c.B)
			}
		}
		if format == camera.PNG {
			var b bytes.Buffer
			png.Encode(&b, img) // into memory
			f.Data, f.Width, f.Height = b.Bytes(), 0, 0
		}
	case camera.YUYV:
		for range h {
			for x := 0; x < w; x += 2 {
				p := at(x)
				f.Data = append(f.Data, p.y, p.u, at(x+1).y, p.v)
			}
		}
	default:
		for range h {
			for x := range w {
				f.Data = append(f.Data, at(x).y)
			}
		}
		var u, v []byte
		for range low {
			for x := range half {
				p := at(2 * x)
				u, v = append(u, p.u), append(v, p.v)
			}
		}
		if format == camera.I420 {
			f.Data = append(append(f.Data, u...), v...)
		}
		for i := range u {
			if format == camera.NV12 {
				f.Data = append(f.Data, u[i], v[i])
			}
		}
	}
	return f
}

func TestEncodeJPEGRefuses(t *testing.T) {
	for name, f := range map[string]camera.Frame{
		"short":   {Format: camera.NV12, Width: 4, Height: 4, Data: make([]byte, 23)},
		"no size": {Format: camera.RGB24, Data: make([]byte, 100)},
		"huge":    {Format: camera.GREY, Width: 1 << 30, Height: 1 << 30},
		"no png":  {Format: camera.PNG, Data: []byte("png")},
		"unknown": {Width: 4, Height: 4, Data: make([]byte, 100)},
	} {
		if err := EncodeJPEG(new(bytes.Buffer), &f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
