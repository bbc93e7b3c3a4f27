package metrics

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dynvit/internal/needs"
	"dynvit/messages"
	"dynvit/mqtt"
	"dynvit/timing"
)

// fixed is a source that does not change.
type fixed Readings

func (f fixed) Read() Readings { return Readings(f) }

// busy are the readings of a box with cameras of these names.
func busy(cameras ...string) fixed {
	warm, ratio := 51.5, 0.4
	f := fixed{
		Models:    []Model{{Name: "one", Failed: 9, Latency: new(timing.Histogram)}, {Name: "two", Latency: new(timing.Histogram)}},
		Engines:   []messages.Engine{{Model: `a "model"`, Backend: "ref", Precision: "f32"}},
		KeepRatio: 0.7, Rate: 0.5, Budget: 50 * time.Millisecond, Percentile: 95, OutboxLimit: 16 << 20, Temperature: &warm,
		RSS: 9 << 20, Started: time.UnixMilli(1_700_000_000_500),
		Outbox: mqtt.Status{
			Connected: true, Reconnects: 3, Waiting: 4, InFlight: 5, Events: 6, EventBytes: 700, OnDisk: true, Published: 8,
			Dropped: mqtt.Dropped{Overflow: 1, Expired: 2, Offline: 3, Refused: 4, Rejected: 5},
		},
	}
	for _, name := range cameras {
		c := Camera{
			Name: name, Status: messages.CameraStalled, Looked: 11, Damaged: 12, Late: 13,
			Drops:     messages.Drops{Busy: 1, Slowed: 2, TooFast: 3, Failed: 4, Missed: 5, Still: 6},
			KeepRatio: &ratio, Latency: new(timing.Histogram), Frame: new(timing.Histogram), Age: new(timing.Histogram),
		}
		for _, d := range []time.Duration{0, 2500 * time.Microsecond, 4 * time.Millisecond, time.Minute} {
			c.Latency.Add(d)
		}
		f.Cameras = append(f.Cameras, c)
	}
	return f
}

// page is what a scrape gets.
func page(t *testing.T, s Source, accept string) string {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	var log strings.Builder
	Page("1.2.3", s, slog.New(slog.NewTextHandler(&log, nil))).ServeHTTP(w, r)
	if w.Code != 200 || log.Len() > 0 {
		t.Fatalf("%d, log %q\n%s", w.Code, &log, w.Body)
	}
	return w.Body.String()
}

// TestPage: every reading comes out under its name.
func TestPage(t *testing.T) {
	text := page(t, busy("door"), "")
	for _, line := range []string{
		`dynvit_build_info{goarch="` + runtime.GOARCH + `",goversion="` + runtime.Version() + `",version="1.2.3"} 1`,
		`dynvit_model_info{backend="ref",model="a \"model\"",precision="f32"} 1`,
		"dynvit_keep_ratio 0.7", "dynvit_rate_ratio 0.5", "dynvit_budget_seconds 0.05", "dynvit_budget_target_ratio 0.95", "dynvit_temperature_celsius 51.5",
		"process_resident_memory_bytes 9.437184e+06", "process_start_time_seconds 1.7000000005e+09",
		"dynvit_broker_connected 1", "dynvit_broker_reconnects_total 3", "dynvit_outbox_messages 9", "dynvit_outbox_events 6",
		"dynvit_outbox_bytes 700", "dynvit_outbox_limit_bytes 1.6777216e+07", "dynvit_outbox_on_disk 1", "dynvit_outbox_published_total 8",
		`dynvit_outbox_dropped_total{reason="overflow"} 1`, `dynvit_outbox_dropped_total{reason="rejected"} 5`,
		`dynvit_camera_status{camera="door",status="stalled"} 1`, `dynvit_camera_status{camera="door",status="online"} 0`,
		`dynvit_frames_total{camera="door"} 11`, `dynvit_frames_damaged_total{camera="door"} 12`, `dynvit_frames_over_budget_total{camera="door"} 13`,
		`dynvit_frames_dropped_total{camera="door",reason="busy"} 1`, `dynvit_frames_dropped_total{camera="door",reason="motion"} 6`,
		`dynvit_latency_seconds_bucket{camera="door",le="0.001"} 1`, `dynvit_latency_seconds_bucket{camera="door",le="0.003"} 2`,
		`dynvit_latency_seconds_bucket{camera="door",le="0.005"} 3`, `dynvit_latency_seconds_bucket{camera="door",le="10"} 3`,
		`dynvit_latency_seconds_bucket{camera="door",le="+Inf"} 4`, `dynvit_latency_seconds_count{camera="door"} 4`, `dynvit_age_seconds_count{camera="door"} 0`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("lacks %s", line)
		}
	}
	for _, name := range []string{"process_cpu_seconds_total", "process_open_fds", "go_goroutines"} {
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
		if m == nil {
			t.Errorf("lacks %s", name)
		} else if n, err := strconv.ParseFloat(m[1], 64); err != nil || n <= 0 {
			t.Errorf("%s, %v", m[0], err)
		}
	}
	if strings.Contains(page(t, fixed{}, ""), "temperature") {
		t.Error("a temperature that is not known is shown")
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestReasons: labels' values are the names that stats and the status topics have for
// the same things.
func TestReasons(t *testing.T) {
	drops, err := json.Marshal(messages.Drops{Busy: 1, Slowed: 2, TooFast: 3, Failed: 4, Missed: 5, Still: 6})
	if err != nil {
		t.Fatal(err)
	}
	missed, err := json.Marshal(messages.Losses{Overflow: 1, Expired: 2, Offline: 3, Refused: 4, Rejected: 5})
	if err != nil {
		t.Fatal(err)
	}
	f := busy("door")
	for want, have := range map[string]map[string]uint64{string(drops): reasons(f.Cameras[0].Drops), string(missed): losses(f.Outbox.Dropped)} {
		got, err := json.Marshal(have)
		var a, b map[string]uint64
		if err != nil || json.Unmarshal(got, &a) != nil || json.Unmarshal([]byte(want), &b) != nil || len(a) != len(b) {
			t.Fatalf("%v: %s, want %s", err, got, want)
		}
		for reason, n := range b {
			if a[reason] != n {
				t.Errorf("reason %s counts %d, want %d", reason, a[reason], n)
			}
		}
	}
}

var series = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{(.*)\})? \S+$`)

// TestCardinality: series grow with the cameras alone, and labels are few.
func TestCardinality(t *testing.T) {
	known := map[string][]string{
		"camera": {"a", "b", "c"}, "model": {"one", "two"}, "status": words, "reason": {"busy", "budget", "max_fps", "failed", "source", "motion", "overflow", "expired", "offline", "refused", "rejected"},
	}
	infos := []string{"dynvit_build_info", "dynvit_model_info"}
	count := func(text string) (n int) {
		for _, m := range series.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "dynvit_") {
				continue
			}
			n++
			for _, pair := range regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`).FindAllStringSubmatch(m[2], -1) {
				if pair[1] != "le" && !slices.Contains(infos, m[1]) && !slices.Contains(known[pair[1]], pair[2]) {
					t.Errorf("%s has the label %s", m[0], pair[0])
				}
			}
		}
		return n
	}
	none, one, three := count(page(t, busy(), "")), count(page(t, busy("a"), "")), count(page(t, busy("a", "b", "c"), ""))
	if each := one - none; none < 10 || each < 50 || each > 100 || three-none != 3*each {
		t.Errorf("%d series, with a camera %d, with three %d", none, one, three)
	}
}

var typed = regexp.MustCompile(`(?m)^# TYPE (\w+) (\w+)$`)

// TestInterface: the table of docs/interface.md has the metrics that the page has, with
// type and labels, and no others.
func TestInterface(t *testing.T) {
	text := page(t, busy("door"), "")
	doc, err := os.ReadFile("../docs/interface.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `((?:dynvit|process)_\\w+)` \\| (\\w+) \\| (.*?)\\| .* \\|$").FindAllStringSubmatch(string(doc), -1) {
		told[m[1]] = m[2] + " " + strings.NewReplacer("`", "", ",", "").Replace(strings.TrimSpace(m[3]))
	}
	for _, m := range typed.FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(m[1], "go_") {
			continue
		}
		if want := m[2] + " " + strings.Join(labels(text, m[1]), " "); told[m[1]] != want {
			t.Errorf("docs/interface.md says %q of %s, the page %q", told[m[1]], m[1], want)
		}
		delete(told, m[1])
	}
	for name := range told {
		t.Errorf("docs/interface.md names %s, which the page does not have", name)
	}
}

// labels are those of a metric, in the order of the interface's table.
func labels(text, name string) (found []string) {
	for _, l := range []string{"camera", "status", "reason", "version", "goversion", "goarch", "model", "backend", "precision"} {
		if regexp.MustCompile(`(?m)^` + name + `(_bucket)?\{(.*,)?` + l + `="`).MatchString(text) {
			found = append(found, l)
		}
	}
	return found
}

// TestPromtoolTakesThePage: Prometheus' own checker finds nothing to say.
func TestPromtoolTakesThePage(t *testing.T) {
	check := exec.Command(needs.Program(t, "promtool", "prometheus"), "check", "metrics")
	check.Stdin = strings.NewReader(page(t, busy("door", "yard"), ""))
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReadersAreBounded: more than so many pages are not made at once, and a page is
// made for who comes later.
func TestReadersAreBounded(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	h := Page("1.2.3", slow{begun, goOn}, slog.New(slog.DiscardHandler))
	codes := make(chan int, mostReaders)
	for range mostReaders {
		go func() { codes <- get(h) }()
		<-begun
	}
	if code := get(h); code != 503 {
		t.Errorf("one too many got %d", code)
	}
	close(goOn)
	for range mostReaders {
		if code := <-codes; code != 200 {
			t.Errorf("got %d", code)
		}
	}
	go func() { <-begun }()
	if code := get(h); code != 200 {
		t.Errorf("who came later got %d", code)
	}
}

type slow struct{ begun, goOn chan struct{} }

func (s slow) Read() Readings {
	s.begun <- struct{}{}
	<-s.goOn
	return Readings{}
}

func get(h http.Handler) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Code
}

// BenchmarkPage is one scrape of four cameras.
func BenchmarkPage(b *testing.B) {
	h := Page("1.2.3", busy("a", "b", "c", "d"), slog.New(slog.DiscardHandler))
	r := httptest.NewRequest("GET", "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(discard{httptest.NewRecorder()}, r)
	}
}

type discard struct{ *httptest.ResponseRecorder }

func (d discard) Write(p []byte) (int, error) { return io.Discard.Write(p) }
