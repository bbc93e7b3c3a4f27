package engine

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"dynvit/backends"
	"dynvit/backends/ref"
	"dynvit/camera"
	"dynvit/preprocess"
	"dynvit/vit"
)

// resizing counts what a backend resizes; full has no memory for it.
type resizing struct {
	backends.Backend
	backends.Resizer
	done int
	full bool
}

func (r *resizing) PrepareResize(z backends.Resize) (backends.Resizing, error) {
	if r.full {
		return nil, backends.ErrNoMemory
	}
	return r.Resizer.PrepareResize(z)
}

func (r *resizing) Resize(dst backends.Tensor, from backends.Pixels, by backends.Resizing) {
	r.done++
	r.Resizer.Resize(dst, from, by)
}

// TestOnDevice: what a backend makes of a frame is the input that the processor makes of it, to
// the bit; that does it where somebody wants to see the picture, where models share it, where
// the device has no memory, and from the seventeenth size on.
func TestOnDevice(t *testing.T) {
	store := t.TempDir()
	writeBackbone(t, store, "one", 1)
	var device *resizing
	candidates := []backends.Candidate{{Name: "device", Auto: true, Open: func(o backends.Options) (backends.Backend, error) {
		be, err := ref.Open(o)
		if err != nil {
			return nil, err
		}
		device = &resizing{Backend: be, Resizer: be.(backends.Resizer)}
		return device, nil
	}}}
	e, err := Open(Options{Features: true, Store: []string{store}, Model: "one", Precision: "f32"}, candidates)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	see := func(f *camera.Frame, region preprocess.Region, r Result) []float32 {
		t.Helper()
		r.WantFeatures = true
		plan, err := e.Plan(vit.Keep{Ratio: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Classify(&r, f, region, plan); err != nil {
			t.Fatal(err)
		}
		return r.Features
	}
	at := func(format camera.Format, w, h int) *camera.Frame {
		f := &camera.Frame{Format: format, Width: w, Height: h, Data: make([]byte, format.Bytes(w, h))}
		for i := range f.Data {
			f.Data[i] = byte(i*i/7 + i%13)
		}
		return f
	}
	var frames []*camera.Frame
	for _, format := range []camera.Format{camera.RGB24, camera.GREY, camera.YUYV, camera.NV12, camera.I420} {
		frames = append(frames, at(format, 90, 62))
	}
	for name, format := range map[string]camera.Format{"exif_mm_1.jpg": camera.JPEG, "exif_mm_6.jpg": camera.JPEG, "exif_3.png": camera.PNG} { // turned
		data, err := os.ReadFile(filepath.Join("..", "preprocess", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, &camera.Frame{Format: format, Data: data})
	}
	want := 0
	for _, f := range frames {
		for _, region := range []preprocess.Region{preprocess.Whole, {X0: 0.25, Y0: 0.1, X1: 0.8, Y1: 1}} {
			here := see(f, region, Result{WantPicture: true})
			if device.done != want {
				t.Fatal("the device was asked where the picture is wanted")
			}
			there := see(f, region, Result{})
			if want++; device.done != want || !slices.Equal(here, there) {
				t.Errorf("%v of %v: %d frames resized on the device, want %d; features %v, by the processor %v", region, f.Format, device.done, want, there[:3], here[:3])
			}
		}
	}
	see(at(camera.GREY, 90, 62), preprocess.Whole, Result{Shared: new(Input)})
	if device.done != want {
		t.Error("the device was asked for an input that models share")
	}
	device.full = true
	see(at(camera.GREY, 91, 62), preprocess.Whole, Result{})
	if device.done != want {
		t.Error("the device was asked without memory")
	}
	device.full = false
	left := mostSizes - len(e.resizer.made)
	for i := range 2 * mostSizes {
		see(at(camera.GREY, 100+i, 62), preprocess.Whole, Result{})
	}
	if more := device.done - want; more != left || left < 1 {
		t.Errorf("%d more sizes on the device, want %d", more, left)
	}
}
