package preprocess

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dynvit/camera"
)

// BenchmarkLarge decodes and renders the pictures that DYNVIT_BENCH_PICTURES names, by a colon
// between them, as the daemon does: docs/performance.md.
func BenchmarkLarge(b *testing.B) {
	for _, file := range filepath.SplitList(os.Getenv("DYNVIT_BENCH_PICTURES")) {
		data, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		s := deit
		s.Scaled = true
		f := camera.Frame{Format: map[string]camera.Format{".jpg": camera.JPEG, ".webp": camera.WebP, ".heic": camera.HEIC, ".avif": camera.AVIF, ".png": camera.PNG}[filepath.Ext(file)], Data: data}
		b.Run(filepath.Base(file), func(b *testing.B) {
			p := newPreprocessor(b, s)
			dst := make([]float32, p.Len())
			before := processorTime(b)
			for b.Loop() {
				if err := p.Do(dst, &f, Whole); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(1e3*(processorTime(b)-before).Seconds()/float64(b.N), "cpu-ms/op")
		})
	}
}

// processorTime is what the process has had: on a machine that does other things too the clock
// tells little.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
