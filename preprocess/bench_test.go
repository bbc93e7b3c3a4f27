package preprocess

import (
	"os"
	"testing"

	"dynvit/camera"
)

// daemonSpec is DeiT's input with the daemon's own decoding.
var daemonSpec = Spec{Size: 224, Resize: 256, Patch: 16, Scaled: true,
	Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225}}

// BenchmarkFrame is what a camera's frame costs ahead of the model, from its bytes to the
// patch matrix: raw formats of 640×480, and the JPEG that DYNVIT_JPEG names (peers/jpeg.py
// sets it, to compare with libjpeg-turbo).
func BenchmarkFrame(b *testing.B) {
	p := newPlanar(640, 480)
	for name, format := range map[string]camera.Format{"YUYV": camera.YUYV, "NV12": camera.NV12, "I420": camera.I420} {
		b.Run(name, func(b *testing.B) { benchFrame(b, p.frame(format)) })
	}
	file := os.Getenv("DYNVIT_JPEG")
	if file == "" {
		return
	}
	data, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("JPEG", func(b *testing.B) { benchFrame(b, &camera.Frame{Format: camera.JPEG, Data: data}) })
}

func benchFrame(b *testing.B, f *camera.Frame) {
	p, err := New(daemonSpec)
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]float32, p.Len())
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Do(dst, f, Whole); err != nil {
			b.Fatal(err)
		}
	}
}
