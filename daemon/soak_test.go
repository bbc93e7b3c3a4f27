package daemon

import (
	"context"
	"encoding/csv"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"dynvit/backends/all"
	schemes "dynvit/camera/all"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/tuning"
)

const (
	// soakEnv is for how long TestSoak runs, such as 30m; soakOutEnv the folder
	// where soak.csv and soak.svg go.
	soakEnv    = "DYNVIT_SOAK"
	soakOutEnv = "DYNVIT_SOAK_OUT"

	soakEvery  = 5 * time.Second
	soakWarmUp = 5 * time.Minute // of the run's time, or a third of it
)

// sample is the process at a time since the start.
type sample struct {
	at         time.Duration
	rss, heap  float64 // MiB
	anon, held float64 // MiB: of rss, what is no file; what Go's runtime has of the system
	goroutines int
	frames     uint64
	dropped    uint64
}

// TestSoak runs four drawn cameras at 15 frames a second, with the model, the
// embedded broker and everything that is published, and holds memory and
// goroutines flat. It is a tool: it runs where DYNVIT_SOAK says for how long.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv(soakEnv))
	if err != nil {
		t.Skipf("runs where %s says for how long, such as 30m", soakEnv)
	}
	samples := soak(t, length)
	warm := samples[0:0:0]
	for _, s := range samples {
		if s.at >= min(soakWarmUp, length/3) {
			warm = append(warm, s)
		}
	}
	slope, noise := trend(warm, func(s sample) float64 { return s.rss })
	heap, _ := trend(warm, func(s sample) float64 { return s.heap })
	anon, _ := trend(warm, func(s sample) float64 { return s.anon })
	first, last := warm[0], warm[len(warm)-1]
	line := fmt.Sprintf("RSS %.1f MiB at the end, %+.2f ± %.2f MiB/h (%+.2f without files); live heap %+.2f MiB/h; goroutines %d to %d; %d frames looked at, %d dropped, in %v",
		last.rss, slope, 2*noise, anon, heap, first.goroutines, last.goroutines, last.frames, last.dropped, last.at.Round(time.Second))
	t.Log(line)
	writeSoak(t, samples, line)
	if slope-2*noise > 1 {
		t.Error("memory grows by more than 1 MiB an hour")
	}
	if last.goroutines > first.goroutines+4 {
		t.Error("goroutines grow")
	}
}

func soak(t *testing.T, length time.Duration) (list []sample) {
	c := config.Default("soak")
	c.MQTT.Broker = config.Embedded
	for i := range 4 {
		cam := config.DefaultCamera()
		cam.Source = fmt.Sprintf("test:?fps=15&size=320x240&seed=%d", i)
		cam.Heartbeat = 5 * time.Second
		cam.Publish = config.Publish{Frame: true, Snapshot: true}
		cam.Motion = 0.02 * float64(i%2)
		c.Cameras[fmt.Sprint("cam", i)] = cam
	}
	c.MQTT.ClientID = "dynvit-soak"
	deps := Deps{
		Schemes: schemes.List(),
		Open:    func(o engine.Options) (tuning.Classifier, error) { return engine.Open(o, all.List()) },
		Log:     slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), brokerListen: "127.0.0.1:0",
	}
	ready := whenReady(t, &deps)
	d, err := New(c, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), length)
	defer stop()
	result := make(chan error, 1)
	go func() { result <- d.Run(ctx) }()
	ready()
	start := time.Now()
	tick := time.NewTicker(soakEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if at := time.Since(start); at < length {
				list = append(list, takeSample(d, at))
				writeSoak(t, list, "so far") // a run that is broken off is worth something, too
			}
		case err := <-result:
			if err != nil || len(list) < 3 {
				t.Fatalf("%d samples, %v", len(list), err)
			}
			return list
		}
	}
}

func takeSample(d *Daemon, at time.Duration) sample {
	// The live heap is as the last collection found it.
	m := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(m)
	mebi := func(bytes uint64) float64 { return float64(bytes) / (1 << 20) }
	s := sample{
		at: at, rss: mebi(d.machine.RSS()), heap: mebi(m[0].Value.Uint64()), held: mebi(m[1].Value.Uint64() - m[2].Value.Uint64()), goroutines: runtime.NumGoroutine(),
	}
	s.anon = anonymous()
	s.frames, s.dropped = d.Totals()
	return s
}

// anonymous is the process's memory without files, in MiB; 0 where the kernel does
// not say.
func anonymous() (mebi float64) {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	fmt.Sscan(rest, &mebi) // kB
	return mebi / 1024
}

// trend is the slope of a least-squares line, in units an hour, and its standard
// error.
func trend(list []sample, value func(sample) float64) (slope, err float64) {
	n := float64(len(list))
	var mx, my float64
	for _, s := range list {
		mx, my = mx+s.at.Hours()/n, my+value(s)/n
	}
	var xx, xy, rest float64
	for _, s := range list {
		dx := s.at.Hours() - mx
		xx, xy = xx+dx*dx, xy+dx*(value(s)-my)
	}
	slope = xy / xx
	for _, s := range list {
		e := value(s) - my - slope*(s.at.Hours()-mx)
		rest += e * e
	}
	return slope, math.Sqrt(rest / max(1, n-2) / xx)
}

// writeSoak writes the samples and their plot, if a folder is named.
func writeSoak(t *testing.T, list []sample, line string) {
	t.Helper()
	folder := os.Getenv(soakOutEnv)
	if folder == "" {
		return
	}
	var text strings.Builder
	w := csv.NewWriter(&text)
	w.Write([]string{"seconds", "rss_mib", "rss_anon_mib", "go_mib", "live_heap_mib", "goroutines", "frames", "dropped"})
	for _, s := range list {
		w.Write([]string{
			fmt.Sprintf("%.0f", s.at.Seconds()), fmt.Sprintf("%.2f", s.rss), fmt.Sprintf("%.2f", s.anon), fmt.Sprintf("%.2f", s.held), fmt.Sprintf("%.2f", s.heap),
			fmt.Sprint(s.goroutines), fmt.Sprint(s.frames), fmt.Sprint(s.dropped),
		})
	}
	w.Flush()
	for name, data := range map[string]string{"soak.csv": text.String(), "soak.svg": plotSoak(list, line)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(data), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// plotSoak draws RSS and goroutines over time.
func plotSoak(list []sample, line string) string {
	const width, height, left, top = 720, 240, 60, 40
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", width+2*left, height+top+50)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="20">%s</text>`+"\n", left, line)
	end := list[len(list)-1].at
	curve := func(colour, name string, side int, value func(sample) float64) {
		most := 0.0
		for _, s := range list {
			most = max(most, 1.2*value(s))
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" points="`, colour)
		for _, s := range list {
			fmt.Fprintf(&b, "%.1f,%.1f ", left+width*s.at.Seconds()/end.Seconds(), top+height*(1-value(s)/most))
		}
		b.WriteString("\"/>\n")
		for i := range 5 {
			v := most * float64(i) / 4
			fmt.Fprintf(&b, `<text x="%d" y="%.0f" fill="%s" text-anchor="%s">%.0f</text>`+"\n", side, top+height*(1-v/most)+4, colour,
				map[bool]string{true: "end", false: "start"}[side < left], v)
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s" text-anchor="%s">%s</text>`+"\n", side, top-8, colour, map[bool]string{true: "end", false: "start"}[side < left], name)
	}
	curve("#1f5fa8", "RSS, MiB", left-6, func(s sample) float64 { return s.rss })
	curve("#b04a1f", "goroutines", left+width+6, func(s sample) float64 { return float64(s.goroutines) })
	fmt.Fprintf(&b, `<path d="M%d %dv%dh%d" fill="none" stroke="black"/>`+"\n", left, top, height, width)
	for i := range 7 {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%.0f</text>`+"\n", left+width*i/6, top+height+16, end.Minutes()*float64(i)/6)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">minutes</text></svg>`+"\n", left+width/2, top+height+34)
	return b.String()
}
