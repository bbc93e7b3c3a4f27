package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dynvit/internal/needs"
	"dynvit/models"
	"dynvit/mqtt/mqtttest"
)

// sample is one series' newest: its time, and its value as text.
type sample struct{ Value [2]any }

// asked is what Prometheus answers to a question.
type asked struct {
	Status, Error string
	Data          struct {
		Result []sample
		Groups []struct {
			Rules []struct {
				Name, Health, LastError, State string
			}
		}
	}
}

// prometheus is a real one that scrapes page with a token, twice a second, and its
// address. It ends with the test.
func prometheus(t *testing.T, page, tokenFile string) string {
	t.Helper()
	program := needs.Program(t, "prometheus", "prometheus")
	alerts, err := filepath.Abs("../../metrics/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := write(t, dir, "prometheus.yaml", fmt.Sprintf(`
global: {scrape_interval: 500ms, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs:
  - job_name: dynvit
    authorization: {credentials_file: %s}
    static_configs: [{targets: ["%s"]}]
`, alerts, tokenFile, page))
	p := start(t, exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0"))
	address := p.await(`Listening on.* address=(127\.0\.0\.1:\d+)`)
	p.await("ready to receive web requests")
	return address
}

// question asks Prometheus.
func question(t *testing.T, address, path string) (a asked) {
	t.Helper()
	code, body := fetch(t, "http://"+address+path)
	if err := json.Unmarshal([]byte(body), &a); err != nil || code != 200 || a.Status != "success" {
		t.Fatalf("%s: %d %v %s", path, code, err, body)
	}
	return a
}

// panels are the expressions of the dashboard as Grafana would ask them, by the
// panel's title.
func panels(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile("../../metrics/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			found[p.Title] = append(found[p.Title], strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$camera", ".*").Replace(target.Expr))
		}
	}
	if len(found) < 20 {
		t.Fatalf("only %d panels", len(found))
	}
	return found
}

// TestPrometheus: a real one scrapes a running daemon; every panel of the dashboard
// gets its numbers, every alert can be evaluated, and the camera that is away is
// pending.
func TestPrometheus(t *testing.T) {
	address, page, token := mqtttest.Reserve(t), mqtttest.Reserve(t), write(t, t.TempDir(), "token", "0123456789abcdef\n")
	mosquitto(t, address)
	store := t.TempDir()
	other := slices.Clone(models.Default())
	other[8+binary.LittleEndian.Uint64(other)] ^= 1 // of a weight: another backbone, with a keep ratio of its own
	write(t, store, "other.safetensors", string(other))
	d := start(t, inStore(dynvitd(t, "run", "--config", write(t, t.TempDir(), "dynvit.yaml", fmt.Sprintf(`
node: box
latency: {keep: 0.7}
mqtt: {broker: "mqtt://%s"}
http: {listen: "%s", token_file: %s}
cameras: {door: {source: "test:?fps=20"}, yard: {source: "test:?fps=5&seed=2", models: [imagenette, other]}, away: {source: "file:/nowhere.mp4"}}
`, address, page, token))), store))
	d.await("msg=ready")
	ask := prometheus(t, page, token)
	query := func(expr string) asked { return question(t, ask, "/api/v1/query?query="+url.QueryEscape(expr)) }
	for end := time.Now().Add(patience); len(query(`rate(dynvit_frames_total{camera="door"}[1m]) > 0`).Data.Result) == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no frames seen: %+v", query("up"))
		}
	}
	warm := len(query("dynvit_temperature_celsius").Data.Result) > 0
	for title, exprs := range panels(t) {
		for _, expr := range exprs {
			results := query(expr).Data.Result
			if len(results) == 0 && (warm || !strings.Contains(expr, "dynvit_temperature_celsius")) {
				t.Errorf("%s: nothing answers %s", title, expr)
			}
			if len(results) > 0 && !slices.ContainsFunc(results, func(s sample) bool { return s.Value[1] != "NaN" }) {
				t.Errorf("%s: no number answers %s", title, expr)
			}
		}
	}
	states := map[string]string{}
	for end := time.Now().Add(patience); states["DynvitCameraOffline"] != "pending" && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for _, g := range question(t, ask, "/api/v1/rules").Data.Groups {
			for _, r := range g.Rules {
				states[r.Name] = r.State
				if r.Health == "err" {
					t.Fatalf("alert %s: %s", r.Name, r.LastError)
				}
			}
		}
	}
	if len(states) < 10 || states["DynvitCameraOffline"] != "pending" || states["DynvitDown"] != "inactive" || states["DynvitBrokerAway"] != "inactive" {
		t.Errorf("alerts %v", states)
	}
}

// reading is a number of the daemon's page of metrics, summed over its series.
func reading(t *testing.T, page, name string) (sum float64) {
	t.Helper()
	code, body := fetch(t, "http://"+page+"/metrics")
	list := regexp.MustCompile(`(?m)^`+name+`(?:\{.*\})? (\S+)$`).FindAllStringSubmatch(body, -1)
	if code != 200 || list == nil {
		t.Fatalf("no %s: %d %s", name, code, body)
	}
	for _, m := range list {
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// TestFaultScrapes: how much processor a scrape of four cameras takes, and what a scrape a
// second takes from their frames.
func TestFaultScrapes(t *testing.T) {
	page := mqtttest.Reserve(t)
	run := func(enabled bool) *process {
		text := fmt.Sprintf("latency: {keep: 0.7}\nmqtt: {broker: \"mqtt://127.0.0.1:1\"}\nhttp: {listen: \"%s\"}\ncameras:\n", page)
		for i := range 4 {
			text += fmt.Sprintf("  cam%d: {source: \"test:?fps=10\", enabled: %v}\n", i, enabled)
		}
		d := start(t, dynvitd(t, "run", "--config", write(t, t.TempDir(), "dynvit.yaml", text)))
		d.await("msg=ready")
		return d
	}
	used := func(during func()) time.Duration {
		before := reading(t, page, "process_cpu_seconds_total")
		during()
		return time.Duration((reading(t, page, "process_cpu_seconds_total") - before) * float64(time.Second))
	}

	d := run(false)
	scrapes := often(5000, 20)
	var took time.Duration
	busy := used(func() {
		begin := time.Now()
		for range scrapes {
			reading(t, page, "dynvit_frames_total")
		}
		took = time.Since(begin)
	})
	idle := used(func() { time.Sleep(took) })
	each := (busy - idle) / time.Duration(scrapes)
	t.Logf("%d scrapes of four cameras: %v of processor each, %.3f %% of a core at one a second", scrapes, each, 100*each.Seconds())
	d.Process.Signal(syscall.SIGTERM)
	d.end()

	run(true)
	for _, every := range []time.Duration{0, time.Second} {
		frames, lost := reading(t, page, "dynvit_frames_total"), reading(t, page, "dynvit_frames_dropped_total")
		begin, n := time.Now(), 0
		for end := begin.Add(time.Duration(often(60, 2)) * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
			if every > 0 {
				reading(t, page, "dynvit_frames_total")
				n++
			}
		}
		frames, lost = reading(t, page, "dynvit_frames_total")-frames, reading(t, page, "dynvit_frames_dropped_total")-lost
		if frames == 0 {
			t.Error("no frames")
		}
		t.Logf("%d scrapes in %.0f s: %.0f frames classified, %.0f dropped", n, time.Since(begin).Seconds(), frames, lost)
	}
}
