package rtsp

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"slices"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/format"

	"dynvit/camera"
	"dynvit/camera/rtsp/rtsptest"
)

// jpegPicture is a coloured ramp, as a file of several packets.
func jpegPicture(t *testing.T) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 160, 120))
	for y := range 120 {
		for x := range 160 {
			m.Set(x, y, color.RGBA{uint8(x * y), uint8(2 * x), uint8(x ^ y), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// samePixels compares two files.
func samePixels(t *testing.T, got, want []byte) {
	t.Helper()
	a, err := jpeg.Decode(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	b, err := jpeg.Decode(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if x, y := a.(*image.YCbCr), b.(*image.YCbCr); x.Rect != y.Rect || !bytes.Equal(x.Y, y.Y) || !bytes.Equal(x.Cb, y.Cb) {
		t.Errorf("%v became %v, or other pixels", y.Rect, x.Rect)
	}
}

func TestMotionJPEG(t *testing.T) {
	want := jpegPicture(t)
	s := rtsptest.NewJPEG(t, want)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	for _, transport := range []string{"tcp", "udp"} {
		source := open(t, s.URL()+"#transport="+transport, camera.Options{})
		var f camera.Frame
		for range 3 {
			if err := source.Next(t.Context(), &f); err != nil {
				t.Fatal(err)
			}
			if f.Format != camera.JPEG {
				t.Fatalf("format %v", f.Format)
			}
			samePixels(t, f.Data, want)
		}
	}
}

// TestJPEGPackets: whole pictures alone, restart markers, and tables that are sent
// once.
func TestJPEGPackets(t *testing.T) {
	want := jpegPicture(t)
	encoder, err := new(format.MJPEG).CreateEncoder()
	if err != nil {
		t.Fatal(err)
	}
	packets, err := encoder.Encode(want)
	if err != nil || len(packets) < 3 {
		t.Fatalf("%d packets, %v", len(packets), err)
	}
	var payloads, restarts, untabled [][]byte
	for i, p := range packets {
		payloads = append(payloads, p.Payload)
		marked := slices.Insert(slices.Clone(p.Payload), 8, 0, 0, 0xff, 0xff) // none
		marked[4] += 64
		restarts = append(restarts, marked)
		if i == 0 {
			untabled = append(untabled, slices.Concat(p.Payload[:8], []byte{0, 0, 0, 0}, p.Payload[12+128:]))
		} else {
			untabled = append(untabled, p.Payload)
		}
	}
	m := new(pictures)
	for _, c := range []struct {
		name  string
		p     picture
		found verdict
	}{
		{"tables that never came", picture{payloads: untabled}, lost},
		{"whole", picture{payloads: payloads}, complete},
		{"restart markers", picture{payloads: restarts}, complete},
		{"tables of before", picture{payloads: untabled}, complete},
		{"torn", picture{payloads: payloads[:2], torn: true}, lost},
		{"without its beginning", picture{payloads: payloads[1:]}, lost},
		{"without a part", picture{payloads: slices.Delete(slices.Clone(payloads), 1, 2)}, lost},
		{"nothing", picture{}, lost},
	} {
		data, found := m.add(nil, &c.p)
		if found != c.found {
			t.Errorf("%s: verdict %d, want %d", c.name, found, c.found)
		} else if found == complete {
			samePixels(t, data, want)
		}
	}
	if data, _ := m.add(nil, &picture{payloads: restarts}); !bytes.HasPrefix(data, []byte{0xff, 0xd8, 0xff, 0xdd, 0, 4, 0, 0}) {
		t.Errorf("no restart interval: % x", data[:8])
	}
}

// FuzzJPEGPackets: no packets make it panic, or grow without bound.
func FuzzJPEGPackets(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 1, 255, 20, 15, 0, 0, 0, 0, 1, 2, 3}, []byte{0, 0, 0, 3, 1, 255, 20, 15, 1, 2})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		data, found := new(pictures).add(nil, &picture{payloads: [][]byte{a, b}})
		if (found == complete) != (len(data) > 0) || len(data) > len(a)+len(b)+2000 {
			t.Errorf("verdict %d, %d bytes", found, len(data))
		}
	})
}
