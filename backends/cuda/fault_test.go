//go:build cuda

package cuda

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"dynvit/backends"
)

// life is what a backend goes through: it is opened, loaded, runs a frame step by step,
// then recorded, and is closed.
type life struct {
	be     backends.Backend
	x, y   backends.Tensor
	kept   backends.Index
	weight backends.Weight
	resize backends.Resizing // of two grey pixels to x
	frames []error           // of four downloads
	out    [4][]float32
	closed error
}

const lifeRows, lifeCols = 6, 8

// live goes through it and returns the error of what could not be opened or loaded.
func live(open func(backends.Options) (backends.Backend, error)) (l life, err error) {
	if l.be, err = open(backends.Options{}); err != nil {
		return l, err
	}
	defer func() { l.closed = l.be.Close() }()
	if err = l.load(); err != nil {
		return l, err
	}
	var recorded backends.Recording
	for i := range l.out {
		picture := backends.Pixels{Data: []byte{byte(5 * i), 100}, Format: backends.Grey, Width: 2, Height: 1}
		l.be.(backends.Resizer).Resize(l.x, picture, l.resize)
		if i < 2 {
			l.frame()
		} else {
			if recorded == nil {
				recorded = l.be.(backends.Recorder).Record(l.frame)
			}
			recorded.Replay()
		}
		l.out[i] = make([]float32, 3*lifeCols)
		l.frames = append(l.frames, l.be.Download(l.out[i], l.y.View(0, 3)))
	}
	recorded.Close()
	return l, nil
}

func (l *life) load() (err error) {
	w := make([]float32, lifeCols*lifeCols)
	for i := range w {
		w[i] = float32(i%7) / 7
	}
	if l.weight, err = l.be.Pack(w, lifeCols, lifeCols, nil, backends.F32); err != nil {
		return err
	}
	if l.x, err = l.be.Alloc(lifeRows, lifeCols); err != nil {
		return err
	}
	if l.y, err = l.be.Alloc(lifeRows, lifeCols); err != nil {
		return err
	}
	if l.kept, err = l.be.AllocIndex(3); err != nil {
		return err
	}
	l.resize, err = l.be.(backends.Resizer).PrepareResize(lifeResize())
	return err
}

// lifeResize makes an input as large as x: shares of two pixels above each other.
func lifeResize() backends.Resize {
	z := backends.Resize{Width: 2, Height: 1, Size: 4, Table: new([3][256]float32),
		Down: backends.Pass{Out: 4, Taps: slices.Repeat([][3]int32{{0, 1, 0}}, 4), Weights: []int32{1 << 22}}}
	z.Across.Out = 4
	for i := range int32(4) {
		z.Across.Taps = append(z.Across.Taps, [3]int32{0, 2, 2 * i})
		z.Across.Weights = append(z.Across.Weights, (i+1)<<20, (3-i)<<20)
	}
	for c := range z.Table {
		for v := range z.Table[c] {
			z.Table[c][v] = float32(v%(11+c)) - 4
		}
	}
	return z
}

// frame uses each family of kernels but attention's.
func (l *life) frame() {
	l.be.Linear(l.y, l.x, l.weight, backends.GELU, backends.Tensor{})
	l.be.TopK(l.kept, l.y.Reshape(lifeRows-1, 1))
	l.be.Gather(l.y.View(0, 3), l.x, l.kept)
}

// traced returns the calls of the driver API that a life makes.
func traced(t *testing.T, open func(backends.Options) (backends.Backend, error)) ([]string, life) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace")
	t.Setenv("FAKECUDA_TRACE", file)
	l, err := live(open)
	if err = errors.Join(append(l.frames, err, l.closed)...); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FAKECUDA_TRACE", "")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(data)), l
}

// TestEachCallFails has each call fail once, the first, a middle one and the last of its
// name, in a way that passes and in one that the context keeps. All of it is told. After
// that nothing more comes, and it is said to be so; but where a graph alone could not
// be made the frames are as they should be.
func TestEachCallFails(t *testing.T) {
	open := openFake(t, "xavier")
	calls, well := traced(t, open)
	names := slices.Compact(slices.Sorted(slices.Values(calls)))
	if len(names) < 20 {
		t.Fatalf("only these calls: %v", names)
	}
	goOn := 0
	for _, name := range names {
		count := 0
		for _, call := range calls {
			if call == name {
				count++
			}
		}
		for _, nth := range slices.Compact([]int{1, (count + 1) / 2, count}) {
			for _, code := range []int{1, 719} {
				t.Setenv("FAKECUDA_FAIL", fmt.Sprintf("%s:%d=%d", name, nth, code))
				what := fmt.Sprintf("%s %d of %d fails with %d", name, nth, count, code)
				l, err := live(open)
				if err != nil { // it could not be opened or loaded
					if strings.Contains(err.Error(), "\n") {
						t.Errorf("%s: more than a line: %v", what, err)
					}
					if errors.Is(err, backends.ErrLost) && l.closed != nil {
						t.Errorf("%s: told again at the end: %v", what, l.closed)
					}
					continue
				}
				if checkFrames(t, what, l, well) {
					goOn++
				}
			}
		}
	}
	if goOn < 2 {
		t.Errorf("%d failures were survived, want those of a capture and of its graph", goOn)
	}
}

// checkFrames reports whether there were frames behind the one that failed.
func checkFrames(t *testing.T, what string, l, well life) (on bool) {
	t.Helper()
	first := slices.IndexFunc(l.frames, func(err error) bool { return err != nil })
	if first < 0 {
		if l.closed == nil {
			t.Errorf("%s, and no one is told", what)
		}
		return false
	}
	lost := errors.Is(l.frames[first], backends.ErrLost)
	for i, err := range l.frames {
		if (err != nil) != (i == first || lost && i > first) {
			t.Errorf("%s: frame %d: %v", what, i, err)
		}
		if err == nil && !slices.Equal(l.out[i], well.out[i]) {
			t.Errorf("%s: frame %d is %v, want %v", what, i, l.out[i], well.out[i])
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: frame %d: more than a line: %v", what, i, err)
		}
		on = on || i > first && err == nil
	}
	if l.closed != nil {
		t.Errorf("%s: close: %v", what, l.closed)
	}
	return on
}

// TestCallsOfAFrame: a replayed frame is a copy in, the two resizes, a graph, the copies out, and
// one wait at the end; its memory was allocated before.
func TestCallsOfAFrame(t *testing.T) {
	calls, _ := traced(t, openFake(t, "orin"))
	calls = slices.DeleteFunc(calls, func(c string) bool { return c == "cuCtxSetCurrent" })
	last := -1
	for i, c := range calls {
		if c == "cuGraphLaunch" {
			last = i
		}
	}
	if last < 3 {
		t.Fatalf("no graph was launched: %v", calls)
	}
	got := calls[last-3 : last+4]
	want := []string{"cuMemcpyHtoDAsync_v2", "cuLaunchKernel", "cuLaunchKernel", "cuGraphLaunch", "cuMemcpyDtoHAsync_v2", "cuMemcpyDtoHAsync_v2", "cuStreamSynchronize"}
	if !slices.Equal(got, want) {
		t.Errorf("a frame calls %v, want %v", got, want)
	}
}

// TestNoMemory: what does not fit says so, and nothing is lost by it.
func TestNoMemory(t *testing.T) {
	open := openFake(t, "nano")
	t.Setenv("FAKECUDA_MEMORY", "100000")
	be, err := open(backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	if _, err := be.Alloc(1000, 1000); !errors.Is(err, backends.ErrNoMemory) {
		t.Errorf("Alloc: %v", err)
	}
	if _, err := be.Pack(make([]float32, 1<<20), 1<<10, 1<<10, nil, backends.F32); !errors.Is(err, backends.ErrNoMemory) {
		t.Errorf("Pack: %v", err)
	}
	if _, err := be.Alloc(10, 10); err != nil {
		t.Error("what fits is refused:", err)
	}
}

// TestRefuses: without a driver, without a GPU, and with one that is too old.
func TestRefuses(t *testing.T) {
	for _, c := range []struct{ library, says string }{
		{filepath.Join(t.TempDir(), "libcuda.so.1"), "no NVIDIA driver: "},
		{fakeDriver(t, "none"), "the NVIDIA driver does not start: cuInit: "},
	} {
		be, err := open(c.library)
		if err == nil {
			be.Close()
			t.Fatalf("%s opens", c.library)
		}
		if !errors.Is(err, backends.ErrUnavailable) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q in it", c.library, err, c.says)
		}
	}
}

// TestFacts: what a device is, as `devices` shows it.
func TestFacts(t *testing.T) {
	be, err := openFake(t, "orin")(backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	f := be.Facts()
	if want := "Orin, compute capability 8.7, 8 processors at 624 MHz, driver for CUDA 12.6, 8.6 GB"; f.Device != want || f.Threaded {
		t.Errorf("%q, threaded %v, want %q", f.Device, f.Threaded, want)
	}
}

// TestOpensAgain: what one context keeps does not outlive it.
func TestOpensAgain(t *testing.T) {
	open := openFake(t, "orin")
	_, well := traced(t, open)
	t.Setenv("FAKECUDA_FAIL", "cuStreamSynchronize:2=700")
	l, err := live(open)
	if err != nil || !errors.Is(l.frames[3], backends.ErrLost) {
		t.Fatal(err, l.frames)
	}
	t.Setenv("FAKECUDA_FAIL", "")
	again, err := live(open)
	if err = errors.Join(append(again.frames, err, again.closed)...); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(again.out) != fmt.Sprint(well.out) {
		t.Errorf("%v, want %v", again.out, well.out)
	}
}

// TestTwo: backends on one device don't meet, whatever threads their goroutines run on.
func TestTwo(t *testing.T) {
	open := openFake(t, "nano")
	_, well := traced(t, open)
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			for range 3 {
				l, err := live(open)
				if err = errors.Join(append(l.frames, err, l.closed)...); err != nil {
					t.Error(err)
				} else if fmt.Sprint(l.out) != fmt.Sprint(well.out) {
					t.Errorf("%v, want %v", l.out, well.out)
				}
				runtime.Gosched()
			}
		})
	}
	running.Wait()
}
