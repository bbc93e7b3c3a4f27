package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dynvit/backends/all"
	"dynvit/camera"
	"dynvit/camera/files"
	"dynvit/preprocess"
	"dynvit/vit"
)

// BenchmarkFirstFrame is from nothing to the first answer: load, pack, probe, decode, run. What is probed is known afterwards, so
// a process measures it once:
//
//	go test -c -o engine.test ./engine && cd engine && for i in $(seq 9); do ../engine.test -test.run - -test.bench FirstFrame/deit_small -test.benchtime 1x; done
//
// ns/op is the time on the clock; cpu-ms is what the process used of all cores meanwhile, which other load hardly changes.
func BenchmarkFirstFrame(b *testing.B) {
	for _, c := range []struct{ name, arch, precision string }{{"imagenette", "", ""}, {"deit_small", "deit_small", "int8"}} {
		b.Run(c.name, func(b *testing.B) {
			o := Options{Precision: c.precision, Scaled: true}
			if c.arch != "" {
				o.Model = written(b, c.arch)
			}
			var f camera.Frame
			if err := files.ReadPicture(&f, "../preprocess/testdata/drawn_420.jpg"); err != nil {
				b.Fatal(err)
			}
			var opening, first, used time.Duration
			for b.Loop() {
				began, before := time.Now(), cpuTime(b)
				e, err := Open(o, all.List())
				if err != nil {
					b.Fatal(err)
				}
				opened := time.Now()
				plan, err := e.Plan(vit.Keep{})
				if err != nil {
					b.Fatal(err)
				}
				var r Result
				if err := e.Classify(&r, &f, preprocess.Whole, plan); err != nil {
					b.Fatal(err)
				}
				opening, first, used = opening+opened.Sub(began), first+time.Since(opened), used+cpuTime(b)-before
				e.Close()
			}
			for unit, d := range map[string]time.Duration{"open-ms": opening, "first-ms": first, "cpu-ms": used} {
				b.ReportMetric(float64(d.Microseconds())/1000/float64(b.N), unit)
			}
		})
	}
}

// written is a file of an architecture with random weights.
func written(b *testing.B, arch string) string {
	b.Helper()
	config, err := vit.Named(arch)
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), arch+".safetensors")
	writeRandom(b, path, vit.Random{Config: config}, nil)
	if _, err := os.ReadFile(path); err != nil { // into the page cache
		b.Fatal(err)
	}
	return path
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
